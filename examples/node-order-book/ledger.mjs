// The ledger as three objects of async methods, from its .proto files alone: no generated code.

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const FILES = ['command_service', 'fill_service', 'query_service'].map((name) => `ledger/v1/${name}.proto`);
// Longs and enums as text: a position can outgrow a JavaScript number. Decimals are text in the contract already.
const FORMS = { keepCase: true, longs: String, enums: String, arrays: true };
const CALL_MS_MAX = 30_000;

export function connect(address, proto) {
  const loaded = loadSync(FILES, { includeDirs: [proto], ...FORMS });
  const { CommandService, FillService, QueryService } = grpc.loadPackageDefinition(loaded).ledger.v1;
  return {
    commands: service(CommandService, address),
    fills: service(FillService, address),
    queries: service(QueryService, address),
  };
}

function service(Service, address) {
  const client = new Service(address, grpc.credentials.createInsecure());
  const call = (method, request) => new Promise((resolve, reject) => {
    const deadline = Date.now() + CALL_MS_MAX;
    client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
  return new Proxy({}, { get: (_, method) => (request) => call(method, request) });
}

/** No ledger is there, as opposed to one that says no: a refusal of the ledger's own carries details. */
export const isAbsent = (error) =>
  error.code === grpc.status.UNAVAILABLE && !error.metadata?.get('grpc-status-details-bin').length;

export const timestamp = (ns) => ({ seconds: String(ns / 1_000_000_000n), nanos: Number(ns % 1_000_000_000n) });
export const nanoseconds = ({ seconds, nanos = 0 }) => BigInt(seconds) * 1_000_000_000n + BigInt(nanos);

/** 2024-10-01T00:00:00.000001000Z, as protobuf writes it in JSON. */
export function rfc3339(ns) {
  const second = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${second}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`;
}
