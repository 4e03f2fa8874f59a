// Digits that were labelled and kept: a list in this page's memory, and its download.

import { bytes, npz, words } from "./npz.js";
import { thumbnail } from "./results.js";

export class Kept {
  /** `list`: the element that shows them; `changed(count)` is called with how many there are. */
  constructor(list, changed) {
    Object.assign(this, { list, changed });
    this.digits = []; // {pixels: 28 rows of 28, label}
    this.saved = true;
  }

  /** Keeps each digit of a reading with its part of `text`; says in a line why it cannot, or null. */
  add(digits, text, classes) {
    const labels = split(text.trim(), classes, digits.length);
    const wrong = labels.find((label) => !classes.includes(label));
    if (!labels[0]) return "Say what it is.";
    if (wrong !== undefined) return `This winner knows no “${wrong}”.`;
    if (labels.length !== digits.length) {
      return `${count(digits.length, "digit")} found, and ${count(labels.length, "digit")} in the label.`;
    }
    const [size, other] = [digits, this.digits].map((list) => list[0]?.pixels.length);
    if (other && size !== other) return `What is kept has ${other} x ${other} pixels, this ${size} x ${size}.`;
    digits.forEach(({ pixels }, i) => this.digits.push({ pixels, label: labels[i] }));
    this.saved = false;
    this.show();
    return null;
  }

  remove(digit) {
    this.digits = this.digits.filter((other) => other !== digit);
    this.show();
  }

  empty() {
    this.digits = [];
    this.saved = true;
    this.show();
  }

  show() {
    this.list.replaceChildren(...this.digits.map((digit) => this.item(digit)));
    this.changed(this.digits.length);
  }

  item(digit) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = digit.label;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "×";
    button.setAttribute("aria-label", `Remove this ${digit.label}`);
    button.addEventListener("click", () => this.remove(digit));
    item.append(thumbnail(digit.pixels), name, button);
    return item;
  }

  /** pixels (n, 28, 28) of 0 to 255, labels (n,) as places in classes, classes (k,) as text. */
  file(classes) {
    const [rows, columns] = [this.digits[0].pixels.length, this.digits[0].pixels[0].length];
    this.saved = true;
    return npz({
      pixels: bytes(this.digits.flatMap(({ pixels }) => pixels.flat()), [this.digits.length, rows, columns]),
      labels: bytes(this.digits.map(({ label }) => classes.indexOf(label)), [this.digits.length]),
      classes: words(classes),
    });
  }
}

/** The labels in a text: its letters, or its words where classes have longer names. */
function split(text, classes, digits) {
  if (digits === 1 && classes.includes(text)) return [text]; // a name of several words
  return classes.every((name) => [...name].length === 1) ? [...text.replace(/\s/g, "")] : text.split(/\s+/);
}

const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
