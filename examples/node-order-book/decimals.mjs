// Exact decimals: a BigInt of units at a known number of decimals, and text. No amount of money is ever a JavaScript
// number.

/** '65.43' at 2 decimals is 6543n. Throws on a finer or malformed text. */
export function units(text, decimals) {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined || fraction.length > decimals) throw new Error(`${text} has not ${decimals} decimals`);
  const value = BigInt(whole + fraction.padEnd(decimals, '0'));
  return sign ? -value : value;
}

/** 6540n at 2 decimals is '65.4'. */
export function decimal(value, decimals) {
  const digits = String(value < 0n ? -value : value).padStart(decimals + 1, '0');
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${digits.slice(0, digits.length - decimals)}${fraction && `.${fraction}`}`;
}

/** value / divisor, rounded to the nearest integer, ties to even. divisor > 0n. */
export function divideHalfEven(value, divisor) {
  let quotient = value / divisor; // BigInt division cuts towards zero
  let rest = value % divisor;
  if (rest < 0n) [quotient, rest] = [quotient - 1n, rest + divisor]; // now it is the floor, and 0 <= rest < divisor
  const up = 2n * rest > divisor || (2n * rest === divisor && quotient % 2n !== 0n);
  return up ? quotient + 1n : quotient;
}
