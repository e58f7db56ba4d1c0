// Questions to the server. While one is open, a bar at the top says so.

let open = 0;

function busy(change) {
  open += change;
  document.getElementById("progress").hidden = open === 0;
}

async function ask(path, parameters, signal) {
  const address = `${path}?${query(parameters)}`;
  busy(1);
  try {
    const answer = await fetch(address, { signal });
    if (!answer.ok) throw new Error(await reason(answer));
    return answer;
  } catch (error) {
    if (error instanceof TypeError) throw new Error("The server does not answer: was `neptune-exporter view` ended?");
    throw error;
  } finally {
    busy(-1);
  }
}

async function reason(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || `the server answered ${answer.status}`;
  }
}

export function query(parameters) {
  const result = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each != null && each !== "") result.append(name, each);
    }
  }
  return result;
}

/** JSON of the server; numbers that JSON lacks are numbers again, and long integers BigInts. */
export async function get(path, parameters = {}, signal = undefined) {
  const text = await (await ask(path, parameters, signal)).text();
  return JSON.parse(text, (key, value) => {
    if (value === null || typeof value !== "object" || typeof value.number !== "string") return value;
    return /^-?\d+$/.test(value.number) ? BigInt(value.number) : Number(value.number);
  });
}

/** The lines of a chart: see `packing.py`. */
export async function getLines(parameters, signal) {
  const buffer = await (await ask("/api/points", parameters, signal)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let offset = 4 + length;
  const numbers = (count) => {
    const part = new Float64Array(buffer, offset, count);
    offset += 8 * count;
    return part;
  };
  for (const line of header.lines) {
    line.x = numbers(line.length);
    line.y = numbers(line.length);
    line.oddX = numbers(line.odd);
    line.oddY = numbers(line.odd);
  }
  return header;
}

export async function getText(parameters) {
  return (await ask("/file", { ...parameters, text: 1 })).text();
}

export function fileAddress(run, path) {
  return `/file?${query({ run, path })}`;
}
