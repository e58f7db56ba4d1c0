// Charts load one after the other, the first one first: many at once would make each of them late.

const AT_ONCE = 2;
let open = 0;
const waiting = [];

/** Do something as soon as it is its turn; it rejects with an AbortError if the signal came first. */
export async function inTurn(signal, action) {
  if (open >= AT_ONCE) await new Promise((go) => waiting.push(go));
  else open++;
  try {
    signal.throwIfAborted();
    return await action();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else open--;
  }
}
