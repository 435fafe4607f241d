// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Errors of a service, made of its answers as the SDK makes them. */

const { make: makeBody } = require('./body.js');
const calls = require('./calls.js');
const dialect = require('./dialect.js');
const { baseOf, hasClass } = require('./error-classes.js');
const { HAND_OVER } = require('./hand-over.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Answer} Answer */
/** @typedef {import('./types').Class} Class */

/**
 * What HTTP calls the statuses of errors.
 * @type {Record<number, string>}
 */
const REASONS = {
  304: 'Not Modified',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  412: 'Precondition Failed',
  416: 'Range Not Satisfiable',
};

/** An error's `$response`. */
class HttpResponse {
  /**
   * @param {number} statusCode
   * @param {string} reason
   * @param {Record<string, string>} headers
   * @param {unknown} body
   */
  constructor(statusCode, reason, headers, body) {
    this.statusCode = statusCode;
    this.reason = reason;
    this.headers = headers;
    this.body = body;
  }
}

/**
 * The error for an answer.
 * @param {Package} owner
 * @param {import('./types').Operation} operation
 * @param {Answer} answer
 * @param {string | undefined} code
 * @param {Record<string, string>} fields what the service says of it
 */
function make(owner, operation, answer, code, fields) {
  const { status } = answer;
  const reason = REASONS[status];
  const way = dialect.of(owner);
  if (reason === undefined || way.showsResponse) {
    throw HAND_OVER;
  }
  const isListed = way.order === 'listed';
  const headers = answer.headers();
  // HTTP does not say this of an answer to HEAD which the gateway makes itself.
  if (operation.method === 'HEAD' && headers['content-length'] === '0') {
    delete headers['content-length'];
  }
  const metadata = calls.metadata(status, headers);
  if (!isListed && fields['RequestId']) {
    metadata.requestId ??= fields['RequestId'];
  }
  const isKnown = code !== undefined && hasClass(owner, code);
  const name = code ?? (isListed ? String(status) : 'Unknown');
  const body = makeBody(answer, undefined);
  body.resume();
  const response = {
    value: new HttpResponse(status, reason, headers, body),
    enumerable: false,
    writable: false,
    configurable: false,
  };
  /** @type {any} */
  const error = new Error();
  const kind = /** @type {Class} */ (owner.exports[isKnown ? name : baseOf(owner)]);
  Object.setPrototypeOf(error, kind.prototype);
  const message = fields['message'] || fields['Message'] || (isKnown && !isListed ? way.unsaid : 'UnknownError');
  if (way.hasFields) {
    define(error, { $fault: 'client', $response: undefined, $retryable: undefined, $metadata: metadata, name });
  } else {
    define(error, { name, $fault: 'client', $metadata: metadata });
  }
  define(error, isListed || !isKnown ? { ...additions(fields), message } : { message, ...additions(fields) });
  Object.defineProperty(error, '$response', response);
  error.stack = String(error.stack).replace(/^Error/, `${name}: ${message}`);
  return error;
}

/**
 * @param {object} error
 * @param {Record<string, unknown>} members
 */
function define(error, members) {
  for (const [key, value] of Object.entries(members)) {
    Object.defineProperty(error, key, { value, writable: true, enumerable: true, configurable: true });
  }
}

/**
 * What an error gets of the service's fields as they are.
 * @param {Record<string, string>} fields
 */
function additions(fields) {
  const { message, Message, ...others } = fields;
  return others;
}

module.exports = { make };
