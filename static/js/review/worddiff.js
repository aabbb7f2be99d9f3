// Word by word: [{op: "equal" | "delete" | "insert", text}], a replacement is a delete, then an insert.
export function wordDiff(before, after) {
  const a = before.match(/\s+|\S+/g) || [];
  const b = after.match(/\s+|\S+/g) || [];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const out = [];
  add(out, "equal", a.slice(0, head));
  compare(out, a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  add(out, "equal", a.slice(a.length - tail));
  return out;
}

function compare(out, a, b) {
  if (a.length * b.length > 1_000_000) {
    add(out, "delete", a);
    add(out, "insert", b);
    return;
  }
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  let i = 0;
  let j = 0;
  let cut = [];
  let put = [];
  const flush = () => { add(out, "delete", cut); add(out, "insert", put); cut = []; put = []; };
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j] && (a[i].trim() || (cut.length === 0 && put.length === 0))) {
      flush();
      add(out, "equal", [a[i]]);
      i += 1;
      j += 1;
    } else if (i < a.length && j < b.length && a[i] === b[j]) { // a blank between two changed words belongs to both
      cut.push(a[i]);
      put.push(b[j]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) cut.push(a[i++]);
    else put.push(b[j++]);
  }
  flush();
}

function add(out, op, tokens) {
  const text = tokens.join("");
  if (!text) return;
  const last = out[out.length - 1];
  if (last && last.op === op) last.text += text;
  else out.push({ op, text });
}
