// Charts load one after the other, the first one alone: many at once would make each of them late.

const AT_ONCE = 2;
let atOnce = 1;
let open = 0;
const waiting = [];
const whenIdle = globalThis.requestIdleCallback ?? ((action) => setTimeout(action)); // Safari has none

/** Do something as soon as it is its turn; it rejects with an AbortError if the signal came first. */
export async function inTurn(signal, action) {
  if (open >= atOnce) await new Promise((go) => waiting.push(go)); // the one that ended counts it as open
  else open++;
  try {
    signal.throwIfAborted();
    return await action();
  } finally {
    atOnce = AT_ONCE;
    open--;
    whenIdle(next, { timeout: 200 }); // what is there is painted first
  }
}

function next() {
  while (open < atOnce && waiting.length) {
    open++;
    waiting.shift()();
  }
}
