// Pure functions of texts and mentions.

/** The colour class of a type of mention, however the corpus spells it. */
export function kind(type) {
  const small = type.toLowerCase();
  if (/chem|drug|compound/.test(small)) return "chemical";
  if (/gene|prot/.test(small)) return "gene";
  if (/dise|disorder|phenotyp/.test(small)) return "disease";
  return "other";
}

/**
 * Cut a text where mentions and attended tokens begin and end.
 *
 * @param {string[]} points the text's code points.
 * @param {{id: string, type: string, start: number, end: number}[]} mentions may nest and overlap.
 * @param {[number, number, number][]} attention start, end and weight of tokens.
 * @returns pieces in order, each with the mentions that cover it (the shortest first) and its weight or null.
 */
export function segments(points, mentions, attention) {
  const cuts = new Set([0, points.length]);
  for (const { start, end } of mentions) cuts.add(start).add(end);
  for (const [start, end] of attention) cuts.add(start).add(end);
  const places = [...cuts].sort((a, b) => a - b);
  const byLength = [...mentions].sort((a, b) => a.end - a.start - (b.end - b.start));
  const weights = new Map();
  for (const [start, end, weight] of attention) for (const p of places) if (p >= start && p < end) weights.set(p, weight);
  return places.slice(0, -1).map((from, n) => ({
    text: points.slice(from, places[n + 1]).join(""),
    mentions: byLength.filter((m) => m.start <= from && from < m.end),
    weight: weights.get(from) ?? null,
  }));
}

/** Put consecutive pieces together that the same mention covers. */
export function runs(pieces) {
  const found = [];
  for (const piece of pieces) {
    const last = found.at(-1);
    if (last && last[0].mentions[0]?.id === piece.mentions[0]?.id) last.push(piece);
    else found.push([piece]);
  }
  return found;
}
