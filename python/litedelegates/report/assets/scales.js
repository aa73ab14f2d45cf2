// From values to pixels, and the ticks between.

function logScale(low, high, from, to) {
  const a = Math.log(low), b = Math.log(high);
  const scale = (value) => from + ((Math.log(value) - a) / (b - a || 1)) * (to - from);
  scale.ticks = (most) => {
    if (high / low < 3) return linearScale(low, high, from, to).ticks(Math.min(most, 8));
    for (const steps of [[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8], [1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
        for (const step of steps) {
          const value = Number(`${step}e${power}`);
          if (value >= low * 0.9999 && value <= high * 1.0001) found.push(value);
        }
      if (found.length <= most) return found;
    }
    const decades = Math.ceil(Math.log10(high / low) / most), found = [];
    for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power += decades) found.push(Number(`1e${power}`));
    return found;
  };
  return scale;
}

function linearScale(low, high, from, to) {
  const scale = (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  scale.ticks = (most) => {
    const rough = (high - low) / Math.max(1, most), power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.9999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
    return found;
  };
  return scale;
}

// Room on both sides, and a span that is never zero.
function spread(values, share = 0.06, least = 1.25) {
  let low = Math.min(...values), high = Math.max(...values);
  if (high / low < least) { const middle = Math.sqrt(high * low); low = middle / Math.sqrt(least); high = middle * Math.sqrt(least); }
  const room = (high / low) ** share;
  return [low / room, high * room];
}
