// The calls of the API. Every failure is an Error whose message a person can read.

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; is it still running?");
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.error ?? `The server answered ${response.status}.`);
  }
  return response;
}

const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const models = async () => (await call("api/models")).json();

export const extract = async (request) => (await post("api/extract", request)).json();

export async function read(file) {
  const path = `api/documents?name=${encodeURIComponent(file.name)}`;
  const options = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file };
  return (await call(path, options)).json();
}

const ENDINGS = { jsonl: "jsonl", tsv: "tsv", "bioc-xml": "xml", "bioc-json": "json", pubtator: "pubtator", chemprot: "tsv", html: "html" };

export async function download(request, format) {
  const response = await post(`api/extract?to=${encodeURIComponent(format)}`, request);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = `relations.${ENDINGS[format] ?? "txt"}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
