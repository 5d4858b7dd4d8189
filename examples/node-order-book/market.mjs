// The market: random orders into `nodejs-order-book`, and what it says came of them. Prices are whole ticks and sizes
// whole lots; the engine's JavaScript numbers hold such integers exactly up to 2^53.

import orderBook from 'nodejs-order-book';

export const SYMBOL = {
  symbol: 'LTC_USDT',
  base_currency: 'LTC',
  quote_currency: 'USDT',
  price_scale: 2,
  quantity_scale: 3,
};
const FIRST_PRICE_TICKS = 6_500; // 65.00 USDT
const PRICE_SPREAD_TICKS = 40;
const SIZE_LOTS_MAX = 5_000; // 5.000 LTC
export const BEGIN_MS = Date.parse('2024-10-01T00:00:00Z');
export const SPAN_MS = 3 * 86_400_000;

/** A small generator of random integers (mulberry32), so that a seed gives the same market everywhere. */
export function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * The trades of `count` random orders: {number, time_ns, taker_side, ticks, lots, maker, taker}, maker and taker being
 * {name, order_id}; and `traded`, the lots each account traded by the engine's own account of its orders: what was
 * ordered, less what the engine says is left.
 */
export function trade(names, seed, count) {
  const pick = random(seed);
  const book = new orderBook.OrderBook();
  const trades = [];
  const ordered = new Map(); // order id -> {name, lots} of orders that may rest in the book
  const traded = new Map(names.map((name) => [name, 0n]));
  const addTraded = (name, lots) => traded.set(name, traded.get(name) + BigInt(lots));

  for (let number = 1; number <= count; number += 1) {
    const slot = SPAN_MS / count; // each order has a slot of its own, so time rises
    const time_ms = BEGIN_MS + Math.floor((number - 1) * slot) + pick(Math.max(1, Math.floor(slot) - 1));
    const taker = { name: names[pick(names.length)], order_id: `O${number}` };
    const side = pick(2) ? 'buy' : 'sell';
    const size = 1 + pick(SIZE_LOTS_MAX);
    const chance = pick(100);
    if (chance < 8 && ordered.size > 0) {
      cancel([...ordered.keys()][pick(ordered.size)]);
    } else {
      const market = chance < 25;
      const result = market
        ? book.market({ side, size, accountId: taker.name })
        : book.limit({ id: taker.order_id, side, size, price: nearby(side), accountId: taker.name });
      if (result.err) throw new Error(`the engine refused order ${taker.order_id}: ${result.err.message}`);
      if (market) addTraded(taker.name, size - result.quantityLeft);
      else ordered.set(taker.order_id, { name: taker.name, lots: size });
      matches(result, taker.order_id).forEach(([maker, lots], index) => trades.push({
        number: trades.length + 1,
        time_ns: BigInt(time_ms) * 1_000_000n + BigInt(index) * 1_000n,
        taker_side: side,
        ticks: maker.price,
        lots,
        maker: { name: maker.accountId, order_id: maker.id },
        taker,
      }));
    }
  }
  ordered.forEach(({ name, lots }, id) => addTraded(name, lots - (book.order(id)?.size ?? 0)));
  return { trades, traded };

  /** A limit price around the last one: mostly a little worse than the market, sometimes across it. */
  function nearby(side) {
    const away = pick(PRICE_SPREAD_TICKS) - PRICE_SPREAD_TICKS / 4;
    return (book.marketPrice || FIRST_PRICE_TICKS) + (side === 'buy' ? -away : away);
  }

  /** Take an order out of the book; one that is filled already is only forgotten. */
  function cancel(id) {
    const { name, lots } = ordered.get(id);
    addTraded(name, lots - (book.cancel(id)?.order.size ?? 0));
    ordered.delete(id);
  }
}

/** [maker's order, lots] of each match. `done` and `partial` hold the incoming order too, which is no maker. */
function matches({ done, partial, partialQuantityProcessed }, incomingId) {
  const found = done.filter(({ id }) => id !== incomingId).map((maker) => [maker, maker.size]);
  if (partial && partial.id !== incomingId) found.push([partial, partialQuantityProcessed]);
  return found;
}
