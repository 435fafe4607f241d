// SPDX-License-Identifier: Apache-2.0
'use strict';

/** How a function is invoked: its name in the path, what is said of the call in headers, and bytes in both bodies. */

const calls = require('./calls.js');
const dialect = require('./dialect.js');
const { HAND_OVER } = require('./hand-over.js');
const members = require('./members.js');
const { encoded } = require('./uri.js');
const values = require('./values.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Operation} Operation */
/** @typedef {import('./types').Answer} Answer */

const HEADER = /^[!-~](?:[ -~]*[!-~])?$/;

/** @type {Record<string, string>} */
const HEADERS = {
  InvocationType: 'x-amz-invocation-type',
  LogType: 'x-amz-log-type',
  ClientContext: 'x-amz-client-context',
};

/**
 * Members of an output that come as headers.
 * @type {Record<string, string>}
 */
const ANSWERED = {
  FunctionError: 'x-amz-function-error',
  LogResult: 'x-amz-log-result',
  ExecutedVersion: 'x-amz-executed-version',
  DurableExecutionArn: 'x-amz-durable-execution-arn',
};

/** What an answer holds. It is called as the class is that it stands for. */
class Uint8ArrayBlobAdapter extends Uint8Array {
  /**
   * All of it as a text.
   * @param {string} [encoding]
   */
  transformToString(encoding = 'utf-8') {
    return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString(encoding === 'base64' ? 'base64' : 'utf8');
  }
}

/**
 * The message for a call.
 * @param {Package} owner
 * @param {Operation} _
 * @param {any} input
 */
function request(owner, _, input) {
  const { FunctionName, Payload, Qualifier, ...others } = values.object(input);
  if (typeof FunctionName !== 'string' || FunctionName === '') {
    throw HAND_OVER;
  }
  // Throws if it is not known how this release builds its output.
  order(owner);
  let fields = 'content-type\0application/octet-stream\0';
  for (const [name, value] of Object.entries(others)) {
    if (value === undefined) {
      continue;
    }
    if (!Object.hasOwn(HEADERS, name) || typeof value !== 'string' || !HEADER.test(value)) {
      throw HAND_OVER;
    }
    fields += `${HEADERS[name]}\0${value}\0`;
  }
  const query = Qualifier === undefined ? '' : `?Qualifier=${encoded(Qualifier)}`;
  return {
    target: `/2015-03-31/functions/${encoded(FunctionName)}/invocations${query}`,
    fields,
    body: payload(Payload),
  };
}

/**
 * @param {any} value
 */
function payload(value) {
  if (value === undefined || value instanceof Uint8Array) {
    return value;
  }
  if (typeof value !== 'string') {
    throw HAND_OVER;
  }
  return Buffer.from(value);
}

/**
 * The members of an output, in the order that a release has, but for those that come as they were sent.
 * @param {Package} owner
 */
function order(owner) {
  const { order: style } = dialect.of(owner);
  if (style === 'listed') {
    return ['FunctionError', 'LogResult', 'ExecutedVersion', 'Payload', 'StatusCode'];
  }
  const known = /** @type {string[]} */ (members.of(owner, 'InvocationResponse', 'output'));
  return style === 'declared' ? known : ['Payload', ...known.filter((name) => Object.hasOwn(ANSWERED, name)), 'StatusCode'];
}

/**
 * The output that an answer is.
 * @param {Package} owner
 * @param {Operation} _
 * @param {Answer} answer
 */
async function output(owner, _, answer) {
  const data = await answer.whole();
  const headers = answer.headers();
  const { order: style, isListed } = dialect.of(owner);
  const isEmpty = data.length === 0;
  const $metadata = calls.metadata(answer.status, headers);
  const names = order(owner);
  if (style === 'sent') {
    const sent = Object.keys(headers);
    names.sort((one, other) => rank(sent, one) - rank(sent, other));
  }
  /** @type {Record<string, unknown>} */
  const result = isListed ? { $metadata } : {};
  for (const name of names) {
    if (name === 'StatusCode') {
      result[name] = answer.status;
    } else if (name === 'Payload' && (isListed || !isEmpty)) {
      result[name] = new Uint8ArrayBlobAdapter(data);
    } else if (headers[ANSWERED[name] ?? ''] !== undefined) {
      result[name] = headers[ANSWERED[name] ?? ''];
    }
  }
  if (isListed) {
    return result;
  }
  return isEmpty ? { ...result, $metadata, Payload: null } : { ...result, $metadata };
}

/**
 * Where a member comes, if headers come as they were sent: after what is in the body, and before the status.
 * @param {string[]} sent
 * @param {string} name
 */
function rank(sent, name) {
  if (name === 'Payload') {
    return -1;
  }
  return name === 'StatusCode' ? sent.length : sent.indexOf(/** @type {string} */ (ANSWERED[name]));
}

/**
 * The error that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 */
function error(owner, operation, answer) {
  const { read } = /** @type {typeof import('./json-errors')} */ (require('./json-errors.js'));
  return read(owner, operation, answer, 'AwsRestJsonProtocol');
}

module.exports = { error, output, request };
