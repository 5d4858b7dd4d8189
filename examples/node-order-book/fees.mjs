// The fees as the exchange itself would charge them: at the rates the ledger states, but worked out here.

import { divideHalfEven, units } from './decimals.mjs';
import { nanoseconds, timestamp } from './ledger.mjs';

const RATE_DECIMALS = 6; // ppm
export const FEE_DECIMALS = 8; // of a currency that is not registered

/** Rates of an account in the market's class, in ppm, as steps in [from, until): [{from_ns, tier, maker, taker}]. */
export async function ratesOf(queries, account_id, pair_class, from_ns, until_ns) {
  const ask = async (at_ns) => {
    const state = await queries.GetVipState({ account_id, at: { as_of: timestamp(at_ns) } });
    const { maker_rate, taker_rate } = state.rates.find((row) => row.pair_class === pair_class);
    const [maker, taker] = [maker_rate, taker_rate].map((rate) => units(rate, RATE_DECIMALS));
    return { grants: state.grants, step: { from_ns: at_ns, tier: state.tier, maker, taker } };
  };
  const { grants, step } = await ask(from_ns);
  const ends = grants.flatMap(({ valid_from, valid_until }) => [valid_from, valid_until]).filter(Boolean);
  const later = [...new Set(ends.map(nanoseconds))].filter((at_ns) => from_ns < at_ns && at_ns < until_ns);
  later.sort((a, b) => (a < b ? -1 : 1));
  return [step, ...(await Promise.all(later.map(ask))).map((answer) => answer.step)];
}

/** {ppm, fee} of one side of a trade, the fee in units of FEE_DECIMALS. A self-trade earns no rebate. */
export function feeOf(steps, { time_ns, liquidity, notional, notional_decimals, self_trade }) {
  const step = steps.findLast(({ from_ns }) => from_ns <= time_ns);
  let ppm = step[liquidity];
  if (self_trade && ppm < 0n) ppm = 0n;
  const fee = divideHalfEven(notional * ppm, 10n ** BigInt(notional_decimals + RATE_DECIMALS - FEE_DECIMALS));
  return { ppm, fee };
}
