// A few days of an exchange: random orders into a matching engine, every trade as two fills to the ledger, and at the
// end the engine's totals against the ledger's.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decimal, units } from './decimals.mjs';
import { FEE_DECIMALS, feeOf, ratesOf } from './fees.mjs';
import { connect, isAbsent, rfc3339, timestamp } from './ledger.mjs';
import { BEGIN_MS, SPAN_MS, SYMBOL, trade } from './market.mjs';

const { values: options } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1:50051' },
    proto: { type: 'string', default: fileURLToPath(new URL('../../proto', import.meta.url)) },
    seed: { type: 'string', default: '7' },
    orders: { type: 'string', default: '2000' },
    'fills-out': { type: 'string' },
  },
});
const [SEED, ORDERS] = [whole('seed'), whole('orders')];

// Everything has a name that follows from the seed and the number of orders: the same again is a replay, not new.
const RUN = `ob-${SEED}-${ORDERS}`;
const CLASS = 'A';
const NOTIONAL_DECIMALS = SYMBOL.price_scale + SYMBOL.quantity_scale;
const BATCH = 500;
const [BEGIN_NS, END_NS] = [BEGIN_MS, BEGIN_MS + SPAN_MS].map((ms) => BigInt(ms) * 1_000_000n);
const at = (text) => timestamp(BigInt(Date.parse(text)) * 1_000_000n);
const BEFORE = at('2024-09-01T00:00:00Z');

// Who trades. The trial of `ada` ends on the way, `bob` comes to a tier and `dan` loses one. `dan` and `dan.2` are one
// owner's, so trades between them are self-trades.
const ACCOUNTS = [
  { name: 'ada', trial: { start_time: at('2024-09-02T00:00:00Z') } },
  { name: 'bob', tier: { tier: 'VIP2', valid_from: at('2024-10-02T00:00:00Z') } },
  { name: 'cyd', tier: { tier: 'VIP5', valid_from: BEFORE } },
  { name: 'dan', tier: { tier: 'VIP3', valid_from: BEFORE, valid_until: at('2024-10-03T06:00:00Z') } },
  { name: 'dan.2', owner: 'dan', tier: { tier: 'VIP1', valid_from: BEFORE } },
  { name: 'eve', channel: 'CHANNEL_WEB' },
];
const account = new Map(ACCOUNTS.map((one) => [one.name, one]));
const idOf = (name) => `${RUN}.${name}`;
const ownerOf = (name) => idOf(account.get(name).owner ?? name);

function whole(name) {
  if (/^[1-9][0-9]{0,5}$/.test(options[name])) return Number(options[name]);
  console.error(`main.mjs: --${name} ${options[name]} is not a whole number from 1 to 999999`);
  process.exit(1);
}

/** Register the market and the accounts, and give them their tiers. Sent again, each answers as it did at first. */
async function setUp({ commands }) {
  // A tier given by hand takes two persons and a reason: here they are as made up as the market.
  const authority = { actor: 'example-order-book', approver: 'example-approver', reason: 'to show a tier by hand' };
  await commands.RegisterSymbol({ request_id: 'order-book.symbol', authority, ...SYMBOL, pair_class: CLASS });
  for (const { name, owner, trial, tier } of ACCOUNTS) {
    const common = { authority, account_id: idOf(name) };
    const request = (what) => ({ request_id: `${RUN}.${name}.${what}`, ...common });
    if (owner) await commands.RegisterAccount({ ...request('account'), owner_id: idOf(owner) });
    if (trial) await commands.StartTrial({ ...request('trial'), ...trial });
    if (tier) await commands.ChangeTier({ ...request('tier'), ...tier });
  }
}

/** The two fills of a trade, and beside each what it is worth in exact numbers. */
function fillsOf(one, rates) {
  const takerBuys = one.taker_side === 'buy';
  const notional = BigInt(one.ticks) * BigInt(one.lots);
  const side = (liquidity, self, other, buys) => {
    const self_trade = ownerOf(self.name) === ownerOf(other.name);
    const price = { time_ns: one.time_ns, liquidity, notional, notional_decimals: NOTIONAL_DECIMALS, self_trade };
    const { ppm, fee } = feeOf(rates.get(self.name), price);
    const fill = {
      account_id: idOf(self.name),
      exec_id: `${one.number}-${liquidity}`,
      symbol: SYMBOL.symbol,
      side: buys ? 'SIDE_BUY' : 'SIDE_SELL',
      liquidity: `LIQUIDITY_${liquidity.toUpperCase()}`,
      last_px: decimal(BigInt(one.ticks), SYMBOL.price_scale),
      last_qty: decimal(BigInt(one.lots), SYMBOL.quantity_scale),
      transact_time: one.time_ns,
      trade_id: String(one.number),
      order_id: self.order_id,
      owner_id: ownerOf(self.name),
      counterparty_owner_id: ownerOf(other.name),
      channel: account.get(self.name).channel ?? 'CHANNEL_API',
      charged_fee: { amount: decimal(fee, FEE_DECIMALS), currency: SYMBOL.quote_currency, rate: decimal(ppm, 6) },
    };
    return { name: self.name, lots: BigInt(one.lots), notional, fee, fill };
  };
  return [side('maker', one.maker, one.taker, !takerBuys), side('taker', one.taker, one.maker, takerBuys)];
}

/** Send every fill, numbered from 1; counts what was new and what the ledger priced otherwise than we did. */
async function send({ fills }, lines) {
  const sent = { recorded: 0, replayed: 0, refused: 0, otherwise: 0 };
  for (let first = 0; first < lines.length; first += BATCH) {
    const batch = lines.slice(first, first + BATCH);
    const answer = await fills.RecordFills({
      source: RUN,
      first_sequence: first + 1,
      fills: batch.map(({ fill }) => ({ ...fill, transact_time: timestamp(fill.transact_time) })),
      include_fees: true,
      actor: 'example-order-book',
    });
    sent.recorded += answer.recorded ?? 0; // proto3: a zero is not sent
    sent.replayed += answer.replayed ?? 0;
    sent.refused += answer.refusals.length;
    const differs = ({ fee }, index) => decimal(fee, FEE_DECIMALS) !== answer.fees[index].fee_amount;
    sent.otherwise += batch.filter(differs).length;
  }
  return sent;
}

/** Fills, lots, notional, charges and rebates of an account, from our own fills. */
function ownTotals(lines, name) {
  const own = lines.filter((line) => line.name === name);
  const sum = (value, which = own) => which.reduce((total, line) => total + value(line), 0n);
  return {
    fills: BigInt(own.length),
    lots: sum(({ lots }) => lots),
    notional: sum(({ notional }) => notional),
    charges: sum(({ fee }) => fee, own.filter(({ fee }) => fee > 0n)),
    rebates: sum(({ fee }) => fee, own.filter(({ fee }) => fee < 0n)),
  };
}

/** The same of the ledger: every line of the fee history, page by page, and the totals it states itself. */
async function ledgerTotals({ queries }, name) {
  const request = { account_id: idOf(name), page_size: 1000 };
  const found = { fills: 0n, lots: 0n, notional: 0n, charges: 0n, rebates: 0n };
  for (;;) {
    const { lines, totals, next_page_token } = await queries.ListFeeHistory(request);
    for (const { last_qty, notional } of lines) {
      found.fills += 1n;
      found.lots += units(last_qty, SYMBOL.quantity_scale);
      found.notional += units(notional, NOTIONAL_DECIMALS);
    }
    if (!next_page_token) {
      const stated = totals.find(({ currency }) => currency === SYMBOL.quote_currency);
      if (BigInt(stated?.lines ?? 0) !== found.fills) throw new Error(`${name}: totals of ${stated?.lines} lines`);
      found.charges = units(stated?.charges ?? '0', FEE_DECIMALS);
      found.rebates = units(stated?.rebates ?? '0', FEE_DECIMALS);
      return found;
    }
    request.page_token = next_page_token;
  }
}

const DECIMALS = {
  fills: 0,
  lots: SYMBOL.quantity_scale,
  notional: NOTIONAL_DECIMALS,
  charges: FEE_DECIMALS,
  rebates: FEE_DECIMALS,
};
const HEAD = ['account', 'tiers', 'said by', 'fills', SYMBOL.base_currency, 'notional', 'charges', 'rebates'];

/** One row of the table: fixed decimals, so that points stand below each other. */
function row(labels, totals) {
  const numbers = Object.entries(DECIMALS).map(([key, decimals]) => {
    const [whole_, fraction = ''] = decimal(totals[key], decimals).split('.');
    return decimals ? `${whole_}.${fraction.padEnd(decimals, '0')}` : whole_;
  });
  return [...labels, ...numbers];
}

function print(rows) {
  const widths = HEAD.map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  for (const cells of rows) {
    const padded = cells.map((cell, column) => cell[column < 3 ? 'padEnd' : 'padStart'](widths[column]));
    console.log(padded.join('  '));
  }
}

/** Print both sides' totals; returns the names of the accounts where they differ. */
async function compare(ledger, lines, traded, rates) {
  const rows = [HEAD];
  const differ = [];
  for (const { name } of ACCOUNTS) {
    const [engine, found] = [ownTotals(lines, name), await ledgerTotals(ledger, name)];
    engine.lots = traded.get(name); // by the engine's own account of its orders, not by our fills
    const tiers = rates.get(name).map(({ tier }) => tier).join(' > ');
    rows.push(row([name, tiers, 'engine'], engine), row(['', '', 'ledger'], found));
    if (Object.keys(DECIMALS).some((key) => engine[key] !== found[key])) differ.push(name);
  }
  print(rows);
  return differ;
}

function writeFills(file, lines) {
  const text = lines.map(({ fill }, index) => JSON.stringify({
    source: RUN,
    sequence: index + 1,
    fill: { ...fill, transact_time: rfc3339(fill.transact_time) },
  }));
  writeFileSync(file, `${text.join('\n')}\n`);
  console.log(`wrote ${lines.length} fills to ${file}`);
}

async function main() {
  const ledger = connect(options.address, options.proto);
  await setUp(ledger);
  const names = ACCOUNTS.map(({ name }) => name);
  const steps = await Promise.all(names.map((name) => ratesOf(ledger.queries, idOf(name), CLASS, BEGIN_NS, END_NS)));
  const rates = new Map(names.map((name, index) => [name, steps[index]]));
  const { trades, traded } = trade(names, SEED, ORDERS);
  const lines = trades.flatMap((one) => fillsOf(one, rates));
  const own = trades.filter(({ maker, taker }) => ownerOf(maker.name) === ownerOf(taker.name));
  console.log(`${ORDERS} orders of seed ${SEED} made ${trades.length} trades, ${own.length} of them self-trades`);
  if (options['fills-out']) writeFills(options['fills-out'], lines);
  const { recorded, replayed, refused, otherwise } = await send(ledger, lines);
  console.log(`fills: ${recorded} recorded, ${replayed} replayed, ${refused} refused, ${otherwise} priced otherwise\n`);
  const differ = await compare(ledger, lines, traded, rates);
  if (refused || otherwise || differ.length) {
    throw new Error(`ledger and engine differ: ${differ.join(', ') || 'in single fills'}`);
  }
  console.log("\nledger totals equal the engine's own");
}

main().then(() => process.exit(0), (error) => {
  console.error(isAbsent(error)
    ? `main.mjs: no ledger answers at ${options.address}: start one with \`make run\`, or give its --address`
    : `main.mjs: ${error.message}`);
  process.exit(1);
});
