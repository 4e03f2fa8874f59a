// The service, as the page asks it. What went wrong comes out as a Trouble whose message is a line for a person.

const KEY = "inksweep-key";

export class Trouble extends Error {
  /** `wait_s`: after how many seconds it is worth asking again; null where it is not. */
  constructor(message, { status = 0, wait_s = null } = {}) {
    super(message);
    Object.assign(this, { status, wait_s });
  }
}

// Where the browser allows no storage, the key is asked again after a reload.
let key = null;
try {
  key = sessionStorage.getItem(KEY);
} catch {
  key = null;
}

export function useKey(value) {
  key = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // Kept in memory.
  }
}

export const hasKey = () => key !== null;

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key === null ? {} : { Authorization: `Bearer ${key}` }) };
  try {
    const response = await fetch(path, { ...options, headers, cache: "no-store" });
    if (!response.ok) throw await trouble(response);
    return await response.json();
  } catch (error) {
    if (error instanceof Trouble || error.name === "AbortError") throw error;
    throw new Trouble("The service does not answer. Is inksweep serve still running?");
  }
}

async function trouble(response) {
  const { status } = response;
  let reason = "";
  try {
    const { error } = await response.json();
    if (typeof error === "string") reason = error;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    // A proxy's page, or nothing.
  }
  const asked = Number(response.headers.get("Retry-After"));
  const wait_s = status === 429 || status === 503 ? Math.min(Math.max(asked || 1, 0.2), 30) : null;
  const lines = {
    401: "This service asks for a key.",
    408: "The picture did not arrive in time.",
    413: "The picture is too large for this service.",
    429: "Too many pictures at once.",
    503: "The service is busy.",
  };
  const line = lines[status] ?? (status >= 500 ? `The service failed (${status}).` : `The service refused (${status}).`);
  return new Trouble(reason && status !== 401 ? sentence(reason) : line, { status, wait_s });
}

/** As a sentence, but a name that it begins with is left as it is. */
function sentence(text) {
  const begun = /^[a-z]+ /.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** The winners that are served: [{name, classes}, ...]. */
export async function winners() {
  return (await ask("v1/winners")).winners;
}

/** What a winner reads in a picture; each digit has what the network saw of it, and how likely each class is.
 *
 *  A picture with a name is sent with it: what is wrong with it is said of this name. */
export function read({ blob, name }, winner, signal) {
  const query = new URLSearchParams({ winner, pixels: "true", top: "10" });
  const path = `v1/read?${query}`;
  if (!name) return ask(path, { method: "POST", body: blob, headers: { "Content-Type": blob.type }, signal });
  const form = new FormData();
  form.append("picture", blob, name);
  return ask(path, { method: "POST", body: form, signal });
}
