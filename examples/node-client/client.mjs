// A client of the fee ledger that knows nothing but its .proto files: no generated code, nothing of the ledger's
// Python. Everything in it has a fixed name and a fixed time: a second run sends the same again, and nothing is new.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { refusalOf } from './refusal.mjs';

const { values: options } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1:50051' },
    proto: { type: 'string', default: fileURLToPath(new URL('../../proto', import.meta.url)) },
  },
});

const FILES = ['command_service', 'fill_service', 'query_service'].map((name) => `ledger/v1/${name}.proto`);
// Longs and enums as text: a position can outgrow a JavaScript number. Decimals are text in the contract already.
const FORMS = { keepCase: true, longs: String, enums: String, arrays: true };
const loaded = loadSync(FILES, { includeDirs: [options.proto], ...FORMS });
const { CommandService, FillService, QueryService } = grpc.loadPackageDefinition(loaded).ledger.v1;

// With it gRPC itself sends a call again whose connection breaks: every call may safely be sent twice.
const serviceConfig = readFileSync(join(options.proto, 'ledger/v1/service_config.json'), 'utf8');

/** One service as an object of async methods; every call ends within 10 s. */
function connect(Service) {
  const channel = { 'grpc.service_config': serviceConfig };
  const client = new Service(options.address, grpc.credentials.createInsecure(), channel);
  const call = (method, request) => new Promise((resolve, reject) => {
    const deadline = Date.now() + 10_000;
    client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
  return new Proxy({}, { get: (_, method) => (request) => call(method, request) });
}
const commands = connect(CommandService);
const fills = connect(FillService);
const queries = connect(QueryService);

/** A Timestamp from text, and text from a Timestamp. Date knows no more than milliseconds, which is enough here. */
function at(text) {
  const ms = Date.parse(text);
  return { seconds: String(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
function text({ seconds, nanos = 0 }) {
  return new Date(Number(seconds) * 1000 + nanos / 1_000_000).toISOString().replace('.000Z', 'Z');
}

const say = (what, ...rest) => console.log(`${what.padEnd(18)}${rest.join('  ')}`);
const once = ({ replayed, position }) => `${replayed ? 'replayed' : 'new'}, position ${position}`;

const SYMBOL = 'ADA_USDT';
const ACCOUNT = 'node-nora';
const SOURCE = 'node-client-1';
const TRIAL_FROM = '2024-09-01T00:00:00Z';

async function registerSymbol() {
  const { receipt } = await commands.RegisterSymbol({
    request_id: 'node-client-symbol',
    symbol: SYMBOL,
    base_currency: 'ADA',
    quote_currency: 'USDT',
    price_scale: 4,
    quantity_scale: 1,
    pair_class: 'A',
  });
  say('RegisterSymbol', SYMBOL, once(receipt));
}

async function startTrial() {
  const { receipt, grant } = await commands.StartTrial({
    request_id: 'node-client-trial',
    account_id: ACCOUNT,
    start_time: at(TRIAL_FROM),
  });
  say('StartTrial', ACCOUNT, once(receipt));
  say('', `${grant.tier} from ${text(grant.valid_from)} until ${text(grant.valid_until)}`);
}

/** What a matching engine would send: three fills in the trial, two after its end, numbered without gaps. */
const FILLS = [
  ['SIDE_BUY', 'LIQUIDITY_MAKER', '0.3501', '10000', '2024-09-28T09:30:00Z'],
  ['SIDE_BUY', 'LIQUIDITY_TAKER', '0.3502', '2500.5', '2024-09-29T14:00:00.250Z'],
  ['SIDE_SELL', 'LIQUIDITY_MAKER', '0.3688', '5000', '2024-09-30T23:59:59.999Z'],
  ['SIDE_SELL', 'LIQUIDITY_MAKER', '0.3688', '5000', '2024-10-01T00:00:00Z'],
  ['SIDE_SELL', 'LIQUIDITY_TAKER', '0.3690', '2500.5', '2024-10-01T08:15:00Z'],
].map(([side, liquidity, last_px, last_qty, time], index) => ({
  account_id: ACCOUNT,
  exec_id: `N${index + 1}`,
  symbol: SYMBOL,
  side,
  liquidity,
  last_px,
  last_qty,
  transact_time: at(time),
  channel: 'CHANNEL_API',
}));

async function recordFills() {
  const answer = await fills.RecordFills({ source: SOURCE, first_sequence: 1, fills: FILLS, include_fees: true });
  const { recorded = 0, replayed = 0, refusals } = answer; // proto3: a zero is not sent
  say('RecordFills', `${recorded} recorded, ${replayed} replayed, ${refusals.length} refused`,
    `source ${SOURCE} is at ${answer.source_sequence}`);
  return answer;
}

function showFees({ fees }) {
  fees.forEach(({ fee_amount, fee_currency, fee_rate }, index) => {
    say('', `${FILLS[index].exec_id}  fee ${fee_amount.padStart(10)} ${fee_currency}  at ${fee_rate}`);
  });
}

async function showState(time) {
  const state = await queries.GetVipState({ account_id: ACCOUNT, at: { as_of: at(time) } });
  const rates = state.rates.find(({ pair_class }) => pair_class === 'A');
  const source = state.grant ? ` by ${state.grant.source}` : '';
  const told = `class A: maker ${rates.maker_rate}, taker ${rates.taker_rate}`;
  say('GetVipState', time.padEnd(24), `${state.tier}${source}`, told);
}

/** Two lines per page, to show how a page sequence goes: the token, and every other field as in the first call. */
async function showHistory() {
  const request = { account_id: ACCOUNT, at: { as_of: at('2024-10-01T23:59:59.999Z') }, page_size: 2 };
  for (let page = 1; ; page += 1) {
    const { lines, totals, next_page_token } = await queries.ListFeeHistory(request);
    say('ListFeeHistory', `page ${page}`);
    for (const { transact_time, fill_ref, notional, fee_amount, fee_type, basis } of lines) {
      say('', text(transact_time).padEnd(24), fill_ref.exec_id, `notional ${notional.padEnd(9)}`,
        `${fee_type} ${fee_amount.padStart(10)}`, `(${basis.tier} ${basis.rate})`);
    }
    if (!next_page_token) {
      for (const { currency, charges, rebates, net } of totals) {
        say('totals', `charges ${charges}`, `rebates ${rebates}`, `net ${net} ${currency}`);
      }
      return;
    }
    request.page_token = next_page_token;
  }
}

async function showRefusal() {
  try {
    const ban = { account_id: ACCOUNT, days: 8, reason_code: 'ORDER_SPAM' };
    await commands.BanAccount({ request_id: 'node-client-ban', ...ban });
  } catch (error) {
    const refusal = refusalOf(error);
    if (!refusal) throw error;
    say('BanAccount', `refused with ${grpc.status[error.code]}`);
    say('  reason', refusal.reason, `(${refusal.domain})`);
    Object.entries(refusal.metadata).forEach(([key, value]) => say('  metadata', `${key}: ${value}`));
    refusal.violations.forEach(({ field, description }) => say('  violation', `${field}: ${description}`));
    return;
  }
  throw new Error('a ban of 8 days was not refused');
}

async function main() {
  await registerSymbol();
  await startTrial();
  showFees(await recordFills());
  await showState('2024-09-30T23:59:59.999Z');
  await showState('2024-10-01T00:00:00Z');
  await showHistory();
  await showRefusal();
  console.log('\nThe same again, as after a lost answer: nothing is recorded twice.');
  await registerSymbol();
  await startTrial();
  const { recorded = 0 } = await recordFills();
  if (recorded) throw new Error(`${recorded} fills were recorded twice`);
}

main().then(() => process.exit(0), (error) => {
  const absent = error.code === grpc.status.UNAVAILABLE && !refusalOf(error);
  console.error(absent
    ? `client.mjs: no ledger answers at ${options.address}: start one with \`make run\`, or give its --address`
    : `client.mjs: ${error.message}`);
  process.exit(1);
});
