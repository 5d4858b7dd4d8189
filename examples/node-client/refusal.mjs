// What a refusal says beyond its status code: google.rpc.ErrorInfo and BadRequest, out of the binary trailer that
// carries them. These messages never change, so their definitions stand here instead of a copy of googleapis.

import protobuf from 'protobufjs';

const { root } = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }  // as google.protobuf.Any lies on the wire
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; }
    repeated FieldViolation field_violations = 1;
  }`, { keepCase: true });
const Status = root.lookupType('google.rpc.Status');

/** {reason, domain, metadata, violations} of an error of grpc-js; undefined if it carries no details. */
export function refusalOf(error) {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!bytes) return undefined;
  const found = { reason: '', domain: '', metadata: {}, violations: [] };
  for (const detail of Status.decode(bytes).details) {
    const name = detail.type_url.split('/').pop();
    if (name === 'google.rpc.ErrorInfo') {
      const { reason, domain, metadata } = root.lookupType(name).decode(detail.value);
      Object.assign(found, { reason, domain, metadata });
    } else if (name === 'google.rpc.BadRequest') {
      found.violations.push(...root.lookupType(name).decode(detail.value).field_violations);
    }
  }
  return found;
}
