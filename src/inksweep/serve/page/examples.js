// Drawings to try, for who cannot draw here: strokes along SVG paths, in a box 60 wide and 100 high.

import { RATIO } from "./strokes.js";

const PATHS = {
  0: ["M38 4 C10 0 2 40 6 66 C9 92 34 102 46 84 C60 62 58 10 36 5"],
  1: ["M17 22 C24 17 30 11 34 3 C32 35 30 65 28 98"],
  2: ["M8 24 C12 -4 54 -4 50 26 C47 50 20 72 6 94 C22 86 38 98 56 90"],
  3: ["M10 12 C24 -4 54 0 48 24 C45 38 34 44 22 46 C46 44 60 62 50 82 C42 100 14 100 4 84"],
  4: ["M24 4 C20 26 14 44 6 60 C22 62 40 60 58 57", "M44 30 C43 54 41 76 38 98"],
  5: ["M16 8 C14 24 12 36 10 46 C30 34 56 44 52 70 C48 98 16 102 4 86", "M16 8 C28 8 40 7 54 4"],
  6: ["M44 4 C18 16 4 50 8 76 C12 102 48 102 50 76 C52 54 24 46 9 72"],
  7: ["M6 10 C22 8 38 8 54 6 C44 34 32 66 24 98"],
  8: ["M46 16 C34 -4 6 6 14 26 C20 42 50 52 48 76 C46 102 8 102 8 78 C8 54 48 44 48 22 C48 18 47 17 46 16"],
  9: ["M50 24 C40 -4 6 4 8 30 C10 54 44 52 50 24 C50 52 46 76 38 98"],
  N: ["M4 95 L6 6 L54 94 L56 6"],
  "~": ["M0 80 C4 40 5 10 9 10 C13 10 14 90 18 90 C22 90 23 12 27 12 C31 12 32 88 36 88 C40 88 41 10 45 10 C49 10 50 90 53 90 C57 90 58 40 60 14"],
};
const STEP = 2; // of the box, between two points of a stroke

/** The strokes of a text, side by side and centred, its letters `high` canvas widths high. */
function written(text, high) {
  const scale = high / 100;
  const advance = 78 * scale;
  const left = (1 - (advance * (text.length - 1) + 60 * scale)) / 2;
  const top = (RATIO - high) / 2;
  return [...text].flatMap((letter, i) => PATHS[letter].map((path) => ({
    erase: false,
    width: Math.max(0.014, 0.06 * high),
    points: along(path).map(([x, y]) => [left + i * advance + x * scale, top + y * scale, 0.5]),
  })));
}

function along(path) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  const length = line.getTotalLength();
  const steps = Math.ceil(length / STEP);
  return Array.from({ length: steps + 1 }, (_, i) => {
    const { x, y } = line.getPointAtLength((i / steps) * length);
    return [x, y];
  });
}

/** [{name, strokes}], made when they are asked for. */
export const EXAMPLES = [
  ..."0123456789".split("").map((digit) => [digit, digit, 0.5]),
  ["2026", "2026", 0.26],
  // What is no digit.
  ["N", "N", 0.5],
  ["scribble", "~", 0.5],
].map(([name, text, high]) => ({ name, strokes: () => written(text, high) }));
