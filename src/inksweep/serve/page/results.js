// What the winners read: a card each, with the answer, what the network saw, and how likely each class is.

/** A share as a person reads it; nothing is 100% sure. */
export function percent(share) {
  if (share > 0.999) return "> 99.9%";
  return `${(100 * share).toFixed(1)}%`;
}

function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

/** A canvas that shows pixels, rows of 0 to 255, as they are. */
export function thumbnail(pixels) {
  const canvas = document.createElement("canvas");
  canvas.className = "seen";
  canvas.width = pixels[0].length;
  canvas.height = pixels.length;
  const image = new ImageData(canvas.width, canvas.height);
  pixels.flat().forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** Each class with its probability, the likeliest first. */
function likely({ digit, others }) {
  const all = others.map((other) => ({ name: other.digit, share: other.confidence }));
  // How sure it is of a digit also says whether it is one at all; its probability is what the others leave.
  if (digit !== "?") all.push({ name: digit, share: Math.max(0, 1 - all.reduce((sum, { share }) => sum + share, 0)) });
  return all.sort((a, b) => b.share - a.share);
}

/** Whether it is rather none of the classes: it is much less sure of the best one than this is likelier than the others. */
const isDoubted = (digit) => digit.confidence < 0.5 * likely(digit)[0].share;

/** What is said below the answer, and to a screen reader. */
export function words(reading) {
  const { digits } = reading;
  if (!digits.length) return reading.note === "no digit" ? "Ink, but no digit found." : "No ink found.";
  const unsure = digits.filter(({ digit }) => digit === "?");
  if (!unsure.length) return `${percent(reading.confidence)} sure`;
  if (digits.length > 1) return unsure.length === 1 ? "Not sure of one of them." : `Not sure of ${unsure.length} of them.`;
  const [digit] = digits;
  const guesses = likely(digit).filter(({ share }) => share >= 0.2).slice(0, 2).map(({ name }) => name);
  const names = guesses.join(" or ");
  if (isDoubted(digit)) return `Probably no digit.${names && ` If it is one, ${names}.`}`;
  return names ? `Not sure; perhaps ${names}.` : "Not sure.";
}

export class Results {
  /** `chosen()` is called when another digit or winner has been chosen. */
  constructor(root, chosen) {
    Object.assign(this, { root, chosen });
    this.serve([]);
  }

  serve(winners) {
    this.winners = winners;
    this.empty();
  }

  empty() {
    this.readings = this.winners.map(() => null); // one a winner
    this.winner = 0; // the one whose boxes are shown
    this.digit = 0; // the one that bars are shown of
    this.found = 0; // how many there were when it was chosen
    this.show();
  }

  /** A reading of the winner with this number; `took_ms` since the end of the stroke. */
  answer(number, reading, took_ms) {
    this.readings[number] = { ...reading, took_ms };
    const found = this.reading?.digits ?? [];
    if (number === this.winner && found.length !== this.found) {
      this.found = found.length;
      this.digit = leastSure(found);
    }
    this.show();
  }

  /** The reading whose boxes are shown. */
  get reading() {
    return this.readings[this.winner];
  }

  choose(winner, digit) {
    this.winner = winner;
    this.digit = digit;
    this.found = this.reading.digits.length;
    const place = document.activeElement?.closest?.("[data-place]")?.dataset.place;
    this.show();
    if (place) this.root.querySelector(`[data-place="${place}"]`)?.focus();
    this.chosen();
  }

  show() {
    this.root.classList.toggle("several", this.winners.length > 1);
    this.root.replaceChildren(...this.winners.map((winner, number) => this.card(winner, number)));
  }

  card(winner, number) {
    const reading = this.readings[number];
    const card = element("article", "card");
    if (this.winners.length > 1) card.append(named(winner.name));
    else card.append(element("h2", "unseen", "Answer"));
    card.append(this.large(reading));
    if (!reading) return card;
    const { digits } = reading;
    const sure = element("p", "sure", words(reading));
    sure.classList.toggle("unsure", digits.some(({ digit }) => digit === "?"));
    card.append(sure);
    // Other winners show the same digit, where they found as many.
    const shown = digits.length === this.found ? digits[this.digit] : digits[leastSure(digits)];
    if (digits.length > 1) card.append(this.row(digits, number, shown));
    if (shown) card.append(detail(shown, winner));
    card.append(element("p", "took", `answered in ${Math.round(reading.took_ms)} ms`));
    return card;
  }

  large(reading) {
    const text = reading?.text ?? "";
    const large = element("p", "large", "");
    large.dataset.length = Math.min(9, Math.max(...text.split("\n").map((line) => line.length)));
    for (const letter of text) {
      large.append(letter === "\n" ? element("br") : element("span", letter === "?" ? "unsure" : "", letter));
    }
    large.classList.toggle("nothing", !text);
    return large;
  }

  /** All digits of a number, to choose one of them. */
  row(digits, number, shown) {
    const row = element("div", "digits");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", "Digits found; choose one to see more of it");
    digits.forEach((digit, i) => {
      const button = element("button", digit.digit === "?" ? "unsure" : "");
      button.type = "button";
      button.dataset.place = `${number}-${i}`;
      button.setAttribute("aria-pressed", digit === shown);
      button.setAttribute("aria-label", `Digit ${i + 1}: ${digit.digit}${digit.digit === "?" ? ", not sure" : ""}, ${percent(digit.confidence)}`);
      button.append(thumbnail(digit.pixels), element("span", "", digit.digit));
      button.addEventListener("click", () => this.choose(number, i));
      row.append(button);
    });
    return row;
  }
}

/** The name of a winner, which may be a path, as a heading that breaks after a slash. */
function named(name) {
  const heading = element("h2", "name");
  heading.append(...name.split(/(?<=\/)/).flatMap((word) => [word, element("wbr")]));
  return heading;
}

function leastSure(digits) {
  const sure = digits.map(({ confidence }) => confidence);
  return sure.indexOf(Math.min(...sure));
}

function detail(digit, { classes = [] }) {
  const box = element("div", "detail");
  const figure = element("figure");
  figure.append(thumbnail(digit.pixels), element("figcaption", "faint", "what the network sees"));
  const bars = element("ul", "bars");
  bars.setAttribute("aria-label", "How likely each class is");
  const shares = likely(digit);
  // Ten digits keep their places, so that the eye finds them; of many classes the likeliest are shown.
  const rows = classes.length > 12 || !classes.length ? shares.slice(0, 10)
    : classes.map((name) => ({ name, share: shares.find((other) => other.name === name)?.share ?? 0 }));
  bars.append(...rows.map(({ name, share }) => bar(name, share, name === digit.digit)));
  if (isDoubted(digit)) bars.append(element("li", "note", "if it is one of them at all"));
  box.append(figure, bars);
  return box;
}

function bar(name, share, best) {
  const row = element("li", best ? "best" : "");
  const track = element("span", "track");
  const filled = element("span", "filled");
  filled.style.width = `${100 * share}%`;
  track.append(filled);
  track.setAttribute("aria-hidden", "true");
  row.append(element("span", "class", name), track, element("span", "share", percent(share)));
  return row;
}
