// The page: controls, keys, and the way from a stroke to an answer.

import { Trouble, hasKey, read, useKey, winners } from "./api.js";
import { EXAMPLES } from "./examples.js";
import { Kept } from "./kept.js";
import { Results, words } from "./results.js";
import { Surface } from "./surface.js";

const part = (id) => document.getElementById(id);

const surface = new Surface(part("ink"), part("boxes"), { changed, tapped: (i) => results.choose(results.winner, i) });
const results = new Results(part("readings"), boxes);
const kept = new Kept(part("kept"), keptChanged);
let served = [];
let sent = {}; // size of the picture that the readings are of

const HINT = [...part("hint").childNodes];

// ---- asking

let asked = 0; // the newest question; an answer to an older one is dropped
let running = null;

async function ask() {
  const number = ++asked;
  running?.abort();
  say("");
  if (surface.empty || !served.length) {
    nothing();
    return;
  }
  part("answer").setAttribute("aria-busy", "true");
  running = new AbortController();
  const { signal } = running;
  const since = performance.now();
  const picture = await surface.picture();
  await Promise.all(served.map(async ({ name }, i) => {
    try {
      const reading = await read(picture, name, signal);
      if (number !== asked) return;
      sent = picture;
      results.answer(i, reading, performance.now() - since);
      boxes();
      speak();
    } catch (error) {
      if (number !== asked || error.name === "AbortError") return;
      running.abort(); // the other winners' answers: all are asked again, or none is shown
      failed(error, () => number === asked && ask());
      if (error.wait_s === null) nothing();
    }
  }));
  if (number === asked) part("answer").setAttribute("aria-busy", "false");
}

function nothing() {
  part("answer").setAttribute("aria-busy", "false");
  part("spoken").textContent = "";
  results.empty();
  boxes();
}

function failed(error, again) {
  if (!(error instanceof Trouble)) throw error;
  if (error.status === 401) {
    askKey(again);
    return;
  }
  say(error.wait_s === null ? error.message : `${error.message} Trying again in a moment.`);
  if (error.wait_s !== null) setTimeout(again, 1000 * error.wait_s);
}

function say(text) {
  part("trouble").hidden = !text;
  part("trouble").textContent = text;
}

function speak() {
  const lines = served.map(({ name }, i) => {
    const reading = results.readings[i];
    if (!reading) return "";
    const text = [...reading.text.replace("\n", ", ")].join(" ").replaceAll("?", "unknown");
    return `${served.length > 1 ? `${name}: ` : ""}${text ? `${text}. ` : ""}${words(reading)}`;
  });
  part("spoken").textContent = lines.filter(Boolean).join(" ");
}

function askKey(again) {
  const dialog = part("key");
  if (dialog.open) return;
  if (hasKey()) part("key-said").textContent = "The service did not take this key.";
  part("key-value").value = "";
  dialog.onclose = () => {
    const value = part("key-value").value.trim();
    if (dialog.returnValue === "given" && value) {
      useKey(value);
      again();
    } else say("This service asks for a key. Reload the page to give it.");
  };
  dialog.showModal();
}

async function start() {
  try {
    served = await winners();
  } catch (error) {
    failed(error, start);
    return;
  }
  say("");
  part("served").textContent = served.map(({ name }) => name).join(" · ");
  results.serve(served);
  ask();
}

// ---- showing

/** Several digits, or a picture, get boxes; one digit that was drawn needs none. */
function boxes() {
  const digits = results.reading?.digits ?? [];
  const shown = digits.length > 1 || surface.now.opened ? digits : [];
  surface.show(shown.map(({ box, digit }, i) => ({ box, text: digit, unsure: digit === "?", chosen: i === results.digit })), sent);
  offerLabel();
}

function changed() {
  const { strokes, opened } = surface.now;
  part("undo").disabled = !surface.past.length;
  part("redo").disabled = !surface.future.length;
  part("clear").disabled = surface.empty;
  const unseen = opened && !opened.shown;
  part("hint").hidden = !surface.empty && !unseen;
  part("hint").replaceChildren(...(unseen ? [`${opened.name}: this browser cannot show it.`] : HINT));
  const drawn = strokes.length === 1 ? "1 stroke" : `${strokes.length} strokes`;
  const what = opened ? `picture ${opened.name}` : strokes.length ? drawn : "empty";
  part("ink").setAttribute("aria-label", `Canvas to draw on, ${what}`);
  part("surface").classList.toggle("opened", Boolean(opened));
  part("label").value = "";
  part("keep-said").textContent = "";
  ask();
}

// ---- tools

function tool(erase) {
  surface.erase = erase;
  part("pen").setAttribute("aria-pressed", !erase);
  part("eraser").setAttribute("aria-pressed", erase);
}

part("pen").addEventListener("click", () => tool(false));
part("eraser").addEventListener("click", () => tool(true));
part("brush").addEventListener("input", (event) => { surface.width = event.target.value / 100; });
part("undo").addEventListener("click", () => surface.undo());
part("redo").addEventListener("click", () => surface.redo());
part("clear").addEventListener("click", () => surface.clear());
part("open").addEventListener("click", () => part("file").click());
part("photo").addEventListener("click", () => part("camera").click());
for (const id of ["file", "camera"]) {
  part(id).addEventListener("change", ({ target }) => {
    if (target.files[0]) surface.open(target.files[0]);
    target.value = ""; // the same file can be chosen again
  });
}

for (const { name, strokes } of EXAMPLES) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", () => surface.draw(strokes()));
  part("examples").append(button);
}

addEventListener("keydown", (event) => {
  if (event.target.matches("input:not([type=range])") || part("key").open) return;
  const held = event.ctrlKey || event.metaKey;
  const letter = event.key.toLowerCase();
  if (held && letter === "z") event.shiftKey ? surface.redo() : surface.undo();
  else if (held && letter === "y") surface.redo();
  else if (event.key === "Escape") surface.clear();
  else return;
  event.preventDefault();
});

// ---- pictures, dropped and pasted

const pictureIn = (data) => [...(data?.files ?? [])][0];

addEventListener("dragover", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  part("surface").classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) part("surface").classList.remove("dropping");
});
addEventListener("drop", (event) => {
  part("surface").classList.remove("dropping");
  const file = pictureIn(event.dataTransfer);
  if (!file) return;
  event.preventDefault();
  surface.open(file);
});
addEventListener("paste", (event) => {
  const file = pictureIn(event.clipboardData);
  if (!file) return;
  event.preventDefault();
  surface.open(file);
});

// ---- keeping

function offerLabel() {
  const { digits = [], text = "" } = results.reading ?? {};
  part("label").disabled = part("keep-it").disabled = !digits.length;
  const shown = text.replaceAll("\n", " ");
  if (!part("label").value && !shown.includes("?")) part("label").value = shown;
}

function keptChanged(count) {
  part("kept-tools").hidden = !count;
  part("download").textContent = `Download ${count === 1 ? "1 digit" : `${count} digits`} (.npz)`;
}

part("keep").addEventListener("submit", (event) => {
  event.preventDefault();
  const { classes } = served[results.winner];
  const wrong = kept.add(results.reading.digits, part("label").value, classes);
  if (!wrong) surface.clear();
  part("keep-said").textContent = wrong ?? "Kept.";
});
part("forget").addEventListener("click", () => kept.empty());
part("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(kept.file([...new Set(served.flatMap(({ classes }) => classes))]));
  link.download = "drawn.npz";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});
addEventListener("beforeunload", (event) => {
  if (!kept.saved) event.preventDefault();
});

// ---- light and dark

const THEME = "inksweep-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function theme(choice) {
  if (choice) document.documentElement.dataset.theme = choice;
  const isDark = (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  part("theme").setAttribute("aria-pressed", isDark);
  surface.redraw();
  return isDark;
}

try {
  theme(localStorage.getItem(THEME));
} catch {
  theme();
}
dark.addEventListener("change", () => theme());
part("theme").addEventListener("click", () => {
  const choice = theme() ? "light" : "dark";
  theme(choice);
  try {
    localStorage.setItem(THEME, choice);
  } catch {
    // It holds until the page is closed.
  }
});

start();
