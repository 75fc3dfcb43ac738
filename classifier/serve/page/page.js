// The page: text and files to the API, and what it answers to something that a person can look at and correct.
// Offsets of the API count Unicode code points; JavaScript's strings count UTF-16 units, so texts are kept as arrays.

import { extract, models, read, download } from "./api.js";
import { kind, runs, segments } from "./text.js";

const $ = (id) => document.getElementById(id);
const CHUNK = 16; // documents in a request
const EXAMPLES = [
  ["Inhibition", "Aspirin inhibits COX-2 in human platelets."],
  ["Activation", "Forskolin strongly activated adenylyl cyclase, while propranolol blocked the beta-2 adrenergic receptor."],
  ["Gene and disease", "Carriers of a BRCA1 mutation have an increased risk of breast cancer."],
];

const state = { models: [], documents: [], current: 0, selected: null, mention: null, range: null, types: new Map(), labels: new Map() };

// ------------------------------------------------------------------------------------------------ small helpers

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const percent = (p) => `${(100 * p).toFixed(1)} %`;
const say = (text) => { $("status").textContent = text; };
function complain(texts) {
  $("problems").replaceChildren(...texts.map((text) => element("li", { textContent: text })));
}
const toldOf = ({ id, why }) => (id ? `Document '${id}': ${why}` : why);
const model = () => state.models.find((m) => m.name === $("model").value);
const meaning = (name) => model()?.labels.find((label) => label.name === name)?.meaning ?? name;
const positive = () => model().labels.filter((label) => label.positive);
const threshold = () => Number($("threshold").value) / 100;
const current = () => state.documents[state.current];

// ------------------------------------------------------------------------------------------------ extraction

async function run(documents) {
  if (!documents.length) return;
  state.documents = [];
  state.current = 0;
  complain([]);
  const problems = [];
  $("extract").disabled = true;
  $("progress").hidden = documents.length <= CHUNK;
  say("Extracting ..");
  try {
    for (let first = 0; first < documents.length; first += CHUNK) {
      const part = documents.slice(first, first + CHUNK);
      const answer = await extract({ documents: part, model: model().name, threshold: 0, explain: true, tag: "missing" });
      const bad = new Set(answer.bad.map((each) => each.id)), sent = part.filter((each) => !bad.has(each.id));
      state.documents.push(...answer.documents.map((each, n) => ({ ...prepared(each), given: sent[n]?.entities ?? [] })));
      problems.push(...[...answer.bad, ...answer.problems].map(toldOf));
      $("progress").value = Math.min(1, (first + CHUNK) / documents.length);
      if (documents.length > CHUNK) say(`${state.documents.length} of ${documents.length} documents are done.`);
    }
    sayCount();
  } catch (error) {
    problems.push(error.message);
    say("");
  }
  complain(problems);
  $("progress").hidden = true;
  $("extract").disabled = false;
  show();
}

function sayCount() {
  const count = state.documents.reduce((sum, doc) => sum + visible(doc).length, 0), documents = state.documents.length;
  say(`${documents} ${documents === 1 ? "document" : "documents"}, ${count} ${count === 1 ? "relation" : "relations"}.`);
}

function prepared(answer) {
  return { ...answer, points: Array.from(answer.text) };
}

/** Classify the shown document again with the mentions that it has now. */
async function again(entities) {
  const { id, text } = current();
  say("Classifying again ..");
  try {
    const request = { documents: [{ id, text, entities }], model: model().name, threshold: 0, explain: true, tag: "never" };
    const answer = await extract(request);
    if (answer.bad.length) throw new Error(answer.bad[0].why);
    state.documents[state.current] = { ...prepared(answer.documents[0]), given: entities };
    complain(answer.problems.map(toldOf));
    say("The relations were classified again.");
  } catch (error) {
    complain([error.message]);
    say("");
  }
  state.selected = state.mention = state.range = null;
  show();
}

function fromText() {
  const text = $("text").value;
  if (!text.trim()) {
    complain(["The text is empty; paste a sentence or an abstract."]);
    return;
  }
  remember();
  run([{ id: "text", text, entities: [] }]);
}

async function fromFiles(files) {
  const documents = [], problems = [];
  for (const file of files) {
    say(`Reading ${file.name} ..`);
    try {
      const found = await read(file);
      documents.push(...found.documents);
      problems.push(...[...found.bad, ...found.problems].map((told) => `${told.where || file.name}: ${toldOf(told)}`));
    } catch (error) {
      problems.push(`${file.name}: ${error.message}`);
    }
  }
  say("");
  await run(documents);
  complain([...problems, ...Array.from($("problems").children, (item) => item.textContent)]);
}

// ------------------------------------------------------------------------------------------------ what is shown

/** The relations of a document that pass the filters, the likeliest first. */
function visible(doc) {
  const wanted = (r) => r.probability >= threshold() && state.labels.get(r.label) !== false;
  const typeOf = new Map(doc.entities.map((e) => [e.id, e.type]));
  const typed = (r) => [r.head, r.tail].every((id) => state.types.get(typeOf.get(id)) !== false);
  return doc.relations.filter((r) => wanted(r) && typed(r)).sort((a, b) => b.probability - a.probability);
}

function show() {
  $("results").hidden = !state.documents.length;
  if (!state.documents.length) return;
  $("pager").hidden = state.documents.length < 2;
  $("document").replaceChildren(...state.documents.map((doc, n) => element("option", { value: n, textContent: `${doc.id} (${visible(doc).length})` })));
  $("document").value = state.current;
  $("previous").disabled = state.current === 0;
  $("next").disabled = state.current === state.documents.length - 1;
  $("plain").value = current().text;
  showFilters();
  showText();
  showRelations();
  showEditor();
}

function showFilters() {
  $("threshold-value").textContent = `${$("threshold").value} %`;
  const types = [...new Set(state.documents.flatMap((doc) => doc.entities.map((e) => e.type)))].sort();
  fill("types", types, state.types, (type) => element("span", { className: `swatch ${kind(type)}`, textContent: type }));
  fill("labels", positive().map((label) => label.name), state.labels, (label) => element("span", { textContent: label, title: meaning(label) }));
}

function fill(id, names, chosen, shown) {
  const box = $(id), known = Array.from(box.querySelectorAll("input"), (input) => input.value);
  if (known.join("\n") === names.join("\n")) return;
  box.querySelectorAll("label").forEach((label) => label.remove());
  for (const name of names) {
    const input = element("input", { type: "checkbox", value: name, checked: chosen.get(name) !== false });
    input.addEventListener("change", () => { chosen.set(name, input.checked); show(); });
    box.append(element("label", {}, input, " ", shown(name)));
  }
}

function showText() {
  const doc = current(), relation = state.selected;
  const attention = relation?.attention ?? [], most = Math.max(1e-9, ...attention.map(([, , weight]) => weight));
  const words = ({ text, weight }) => {
    if (weight === null) return text;
    const attended = element("span", { className: "attended", title: `attention ${percent(weight)}` }, text);
    attended.style.setProperty("--weight", String(0.55 * weight / most));
    return attended;
  };
  const marks = runs(segments(doc.points, doc.entities, attention)).flatMap((run) => {
    const { mentions } = run[0], pieces = run.map(words), text = run.map((piece) => piece.text).join("");
    if (!mentions.length) return pieces;
    const [mention] = mentions;
    const partner = relation && mentions.some((m) => m.id === relation.head || m.id === relation.tail);
    const hidden = state.types.get(mention.type) === false;
    const mark = element("span", { className: `mention ${kind(mention.type)}${partner ? " partner" : ""}${hidden ? " hidden-type" : ""}`, title: mention.type }, ...pieces);
    mark.tabIndex = 0;
    mark.setAttribute("role", "button");
    mark.setAttribute("aria-label", `${text}, ${mention.type}. Press Enter to correct it.`);
    const choose = () => { if (getSelection().isCollapsed) { state.mention = mention; state.range = null; showEditor(); } };
    mark.addEventListener("click", choose);
    mark.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); $("editor").querySelector("select")?.focus(); } });
    return [mark];
  });
  $("marked").replaceChildren(...marks);
}

function showRelations() {
  const doc = current(), found = visible(doc), name = new Map(doc.entities.map((e) => [e.id, doc.points.slice(e.start, e.end).join("")]));
  if (!found.includes(state.selected)) { state.selected = null; }
  $("relations").replaceChildren(...found.map((relation) => {
    const meter = element("meter", { min: 0, max: 1, value: relation.probability });
    meter.setAttribute("aria-label", "probability");
    const button = element("button", { type: "button" },
      element("strong", { textContent: name.get(relation.head) }), " → ", element("strong", { textContent: name.get(relation.tail) }),
      element("span", { className: "label", textContent: `${meaning(relation.label)}, ${percent(relation.probability)}` }), meter);
    button.setAttribute("aria-pressed", String(relation === state.selected));
    button.addEventListener("click", () => { state.selected = relation === state.selected ? null : relation; showText(); showRelations(); });
    return element("li", {}, button);
  }));
  $("why").textContent = found.length ? "" : whyNothing(doc);
  showDetail();
}

function whyNothing(doc) {
  if (doc.relations.length) return "No relation passes the filters; lower the least probability to see more.";
  if (!doc.entities.length) return sentence(doc.nothing?.why ?? "the document has no mentions.");
  const pairs = model().pairs.map((pair) => pair.join(" with ")).join(", "), types = [...new Set(doc.entities.map((e) => e.type))].join(", ");
  return `No sentence holds a pair that this model relates. It relates ${pairs}; the document has ${types}.`;
}

function showDetail() {
  const relation = state.selected;
  if (!relation) { $("detail").replaceChildren(); return; }
  const rows = Object.entries(relation.probabilities).sort((a, b) => b[1] - a[1]).map(([label, p]) =>
    element("tr", {}, element("th", { scope: "row", textContent: meaning(label) }), element("td", { textContent: percent(p) })));
  const scale = element("p", { className: "scale" }, "attention: low");
  for (const weight of [0, 0.25, 0.55]) {
    const step = element("i");
    step.style.setProperty("--weight", String(weight));
    scale.append(step);
  }
  scale.append("high");
  $("detail").replaceChildren(element("table", {}, element("caption", { textContent: "Probability of each label" }), ...rows), scale);
}

// ------------------------------------------------------------------------------------------------ corrections

function showEditor() {
  const doc = current(), { mention, range } = state;
  if (!mention && !range) { $("editor").replaceChildren(); return; }
  const types = [...new Set([...model().pairs.flat(), ...doc.entities.map((e) => e.type)])];
  const select = element("select", {}, ...types.map((type) => element("option", { value: type, textContent: type })));
  select.setAttribute("aria-label", "Type");
  const others = mention ? doc.entities.filter((e) => e.id !== mention.id) : doc.entities;
  const { start, end } = mention ?? range, words = doc.points.slice(start, end).join("");
  const id = mention?.id ?? freshId(doc.entities);
  if (mention) select.value = mention.type;
  const save = element("button", { type: "button", textContent: mention ? "Change type" : "Add" });
  save.addEventListener("click", () => again([...others.map(plain), { id, type: select.value, start, end }].sort((a, b) => a.start - b.start)));
  const parts = [element("span", {}, mention ? "Mention " : "Selected ", element("strong", { textContent: words })), select, save];
  if (mention) {
    const remove = element("button", { type: "button", textContent: "Remove" });
    remove.addEventListener("click", () => again(others.map(plain)));
    parts.push(remove);
  }
  const cancel = element("button", { type: "button", className: "link", textContent: "Cancel" });
  cancel.addEventListener("click", () => { state.mention = state.range = null; showEditor(); });
  $("editor").replaceChildren(...parts, cancel);
}

const plain = ({ id, type, start, end, concept }) => ({ id, type, start, end, ...(concept ? { concept } : {}) });
function freshId(entities) {
  const taken = new Set(entities.map((e) => e.id));
  let n = entities.length + 1;
  while (taken.has(`T${n}`)) n += 1;
  return `T${n}`;
}

/** A range of UTF-16 units of the text, trimmed and as code points; null if nothing is left. */
function asRange(text, from, to) {
  const words = text.slice(from, to), trimmed = words.trim();
  if (!trimmed) return null;
  const start = Array.from(text.slice(0, from + words.indexOf(trimmed))).length;
  return { start, end: start + Array.from(trimmed).length };
}

function onSelection() {
  const selection = getSelection(), marked = $("marked");
  if (selection.isCollapsed || !marked.contains(selection.anchorNode) || !marked.contains(selection.focusNode)) return;
  const range = selection.getRangeAt(0), before = range.cloneRange();
  before.selectNodeContents(marked);
  before.setEnd(range.startContainer, range.startOffset);
  const from = before.toString().length;
  choose(asRange(marked.textContent, from, from + range.toString().length));
}

function choose(range) {
  if (!range) return;
  state.range = range;
  state.mention = null;
  showEditor();
}

// ------------------------------------------------------------------------------------------------ address

function remember() {
  const parts = new URLSearchParams({ text: $("text").value, model: $("model").value, threshold: $("threshold").value });
  const address = `#${parts}`;
  if (address.length < 8000) history.replaceState(null, "", address);
}

function recall() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (parts.has("model") && state.models.some((m) => m.name === parts.get("model"))) $("model").value = parts.get("model");
  if (parts.has("threshold")) $("threshold").value = parts.get("threshold");
  if (parts.get("text")) { $("text").value = parts.get("text"); fromText(); }
}

// ------------------------------------------------------------------------------------------------ start

function listen() {
  $("extract").addEventListener("click", fromText);
  $("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) fromText(); });
  $("files").addEventListener("change", () => { fromFiles([...$("files").files]); $("files").value = ""; });
  $("threshold").addEventListener("input", () => { show(); if (state.documents.length) sayCount(); });
  $("threshold").addEventListener("change", remember);
  $("model").addEventListener("change", () => { if (state.documents.length) run(state.documents.map((d) => ({ id: d.id, text: d.text, entities: d.given }))); });
  $("document").addEventListener("change", () => turn(Number($("document").value)));
  $("previous").addEventListener("click", () => turn(state.current - 1));
  $("next").addEventListener("click", () => turn(state.current + 1));
  $("marked").addEventListener("mouseup", onSelection);
  $("plain").addEventListener("beforeinput", (event) => event.preventDefault()); // `readonly` would take the caret away
  $("plain").addEventListener("select", () => choose(asRange(current().text, $("plain").selectionStart, $("plain").selectionEnd)));
  $("plain").addEventListener("keyup", () => choose(asRange(current().text, $("plain").selectionStart, $("plain").selectionEnd)));
  $("download").addEventListener("click", save);
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); $("input").classList.toggle("dropping", name === "dragover"); });
  }
  document.addEventListener("drop", (event) => fromFiles([...event.dataTransfer.files]));
  addEventListener("hashchange", recall);
}

function turn(n) {
  state.current = n;
  state.selected = state.mention = state.range = null;
  show();
}

async function save() {
  const documents = state.documents.map(({ id, text, entities }) => ({ id, text, entities: entities.map(plain) }));
  try {
    await download({ documents, model: model().name, threshold: threshold(), tag: "never" }, $("format").value);
    say("The file was handed to the browser.");
  } catch (error) {
    complain([error.message]);
  }
}

async function start() {
  for (const [name, text] of EXAMPLES) {
    const button = element("button", { type: "button", className: "link", textContent: name });
    button.addEventListener("click", () => { $("text").value = text; fromText(); });
    $("examples").append(button);
  }
  listen();
  try {
    const found = await models();
    state.models = found.models;
    $("model").replaceChildren(...found.models.map((m) => element("option", { value: m.name, textContent: m.name })));
    $("format").replaceChildren(...found.formats.map((f) => element("option", { value: f, textContent: f })));
    recall();
  } catch (error) {
    complain([error.message]);
  }
}

start();
