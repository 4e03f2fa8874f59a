// The canvas: what is drawn or opened, its history, the pointer, and the boxes above it.

import { RATIO, paint, picture } from "./strokes.js";

const SVG = "http://www.w3.org/2000/svg";
const EMPTY = { strokes: [], opened: null };

// What is larger is made smaller before it is sent: 3,000 pixels are twice what the service works with. What only this
// browser may know (HEIC, AVIF) is sent as JPEG.
const SENT_BYTES = 4e6;
const SENT_SIDE = 3000;
const SENT_AS_IT_IS = /^$|^image\/(png|jpeg|bmp|webp|tiff|gif|svg)/;

export class Surface {
  /** `changed()` is called after each stroke, undo, redo, clear and picture; `tapped(index)` where a box is tapped. */
  constructor(canvas, svg, { changed, tapped }) {
    Object.assign(this, { canvas, svg, changed, tapped });
    this.context = canvas.getContext("2d");
    this.now = EMPTY;
    this.past = [];
    this.future = [];
    this.stroke = null; // the one being drawn, and the pointer that draws it
    this.pointer = null;
    this.erase = false;
    this.width = 0.035;
    this.boxes = [];
    this.asked = false;
    new ResizeObserver(() => this.fit()).observe(canvas);
    addEventListener("resize", () => this.fit()); // zooming, and moving to another screen
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  get empty() {
    return !this.now.strokes.length && !this.now.opened;
  }

  get drawing() {
    return this.stroke !== null;
  }

  // ---- history

  become(next) {
    this.past.push(this.now);
    this.future = [];
    this.now = next;
    this.redraw();
    this.changed();
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length || this.drawing) return;
    to.push(this.now);
    this.now = from.pop();
    this.redraw();
    this.changed();
  }

  /** Closes the picture; without one, takes all strokes away. */
  clear() {
    this.stroke = this.pointer = null;
    if (this.now.opened) this.become({ strokes: this.now.strokes, opened: null });
    else if (!this.empty) this.become(EMPTY);
  }

  draw(strokes) {
    this.become({ strokes, opened: null });
  }

  // ---- a picture instead of strokes

  /** Shows a file; one that this browser cannot decode (TIFF) is sent all the same, and not shown. */
  async open(file) {
    const image = new Image();
    image.src = URL.createObjectURL(file);
    let isDecoded = true;
    try {
      await image.decode();
    } catch {
      isDecoded = false; // without boxes; the service says whether it is a picture
    }
    URL.revokeObjectURL(image.src);
    const shown = isDecoded && image.naturalWidth > 0 ? { image, width: image.naturalWidth, height: image.naturalHeight } : null;
    this.become({ strokes: this.now.strokes, opened: { file, name: file.name || "picture", shown } });
  }

  /** What the service is to read: {blob, name, width, height}; a drawing has no name, what was not decoded no width. */
  async picture() {
    const { strokes, opened } = this.now;
    if (!opened) return picture(strokes);
    const { file, name, shown } = opened;
    if (!shown) return { blob: file, name };
    const { image, width, height } = shown;
    const share = Math.min(1, SENT_SIDE / Math.max(width, height));
    if (file.size <= SENT_BYTES && share === 1 && SENT_AS_IT_IS.test(file.type)) return { blob: file, name, width, height };
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * share));
    canvas.height = Math.max(1, Math.round(height * share));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // JPEG has no transparency
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    return { blob, name, width: canvas.width, height: canvas.height };
  }

  // ---- the pointer

  place(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? event.pressure : 0.5;
    return [(event.clientX - left) / width, (event.clientY - top) / width, pressure];
  }

  down(event) {
    // One stroke at a time: a palm beside the pen, or a second finger, draws nothing.
    const turned = event.pointerType === "pen" && event.button === 5; // the pen's other end
    if (this.drawing || (event.button !== 0 && !turned)) return;
    event.preventDefault();
    if (this.now.opened) {
      this.tap(this.place(event));
      return;
    }
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.stroke = { erase: this.erase || turned, width: this.width, points: [this.place(event)] };
    this.redraw();
  }

  move(event) {
    if (event.pointerId !== this.pointer || !this.drawing) return;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) {
      const point = this.place(part);
      const [x, y] = this.stroke.points.at(-1);
      if (Math.hypot(point[0] - x, point[1] - y) > 0.001) this.stroke.points.push(point);
    }
    this.redraw();
  }

  up(event) {
    if (event.pointerId !== this.pointer || !this.drawing) return;
    const { stroke } = this;
    this.stroke = this.pointer = null;
    this.become({ strokes: [...this.now.strokes, stroke], opened: null });
  }

  /** The system took the pointer for something else: no stroke. */
  cancel(event) {
    if (event.pointerId !== this.pointer) return;
    this.stroke = this.pointer = null;
    this.redraw();
  }

  tap([x, y]) {
    const hit = this.boxes.findIndex(({ at }) => x >= at.x && x <= at.x + at.width && y >= at.y && y <= at.y + at.height);
    if (hit >= 0) this.tapped(hit);
  }

  // ---- painting

  fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const [across, down] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    if (!across || (this.canvas.width === across && this.canvas.height === down)) return;
    this.canvas.width = across;
    this.canvas.height = down;
    this.paint(); // at once: setting the size has made the canvas blank
  }

  /** Paints before the next frame, however often it is called until then. */
  redraw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.paint();
    });
  }

  paint() {
    const { canvas, context } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = context.strokeStyle = getComputedStyle(canvas).color;
    const { strokes, opened } = this.now;
    if (!opened) {
      paint(context, this.drawing ? [...strokes, this.stroke] : strokes, canvas.width);
    } else if (opened.shown) {
      const { x, y, width, height } = within(opened.shown);
      context.imageSmoothingQuality = "high";
      const scale = canvas.width;
      context.drawImage(opened.shown.image, x * scale, y * scale, width * scale, height * scale);
    }
  }

  // ---- boxes

  /** Shows boxes [{box: [x, y, w, h], text, unsure, chosen}] in pixels of a picture that was sent as width x height. */
  show(boxes, { width, height }) {
    this.boxes = [];
    if (width) {
      const seen = this.now.opened ? within({ width, height }) : { x: 0, y: 0, width: 1, height: RATIO };
      const share = seen.width / width;
      this.boxes = boxes.map((entry) => {
        const [x, y, w, h] = entry.box;
        const at = { x: seen.x + x * share, y: seen.y + y * share, width: w * share, height: h * share };
        return { ...entry, at };
      });
    }
    // In thousandths of the width, so that the boxes grow with the canvas.
    this.svg.setAttribute("viewBox", `0 0 1000 ${1000 * RATIO}`);
    this.svg.replaceChildren(...this.boxes.map(frame));
  }
}

/** Where a picture lies on the canvas, as large as it fits, in units of the canvas's width. */
function within({ width, height }) {
  const share = Math.min(1 / width, RATIO / height);
  return { x: (1 - width * share) / 2, y: (RATIO - height * share) / 2, width: width * share, height: height * share };
}

function frame({ at, text, unsure, chosen }) {
  const group = document.createElementNS(SVG, "g");
  group.classList.toggle("unsure", unsure);
  group.classList.toggle("chosen", chosen);
  const pad = 8;
  const [x, y] = [at.x * 1000 - pad, at.y * 1000 - pad];
  const rect = document.createElementNS(SVG, "rect");
  const values = { x, y, width: at.width * 1000 + 2 * pad, height: at.height * 1000 + 2 * pad, rx: 8 };
  for (const [key, value] of Object.entries(values)) rect.setAttribute(key, value);
  const word = document.createElementNS(SVG, "text");
  word.setAttribute("x", x + 2);
  word.setAttribute("y", y > 34 ? y - 8 : y + at.height * 1000 + 2 * pad + 30);
  word.textContent = text;
  group.append(rect, word);
  return group;
}
