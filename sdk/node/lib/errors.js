// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Errors of a service, made of its answers as the SDK makes them. */

const { make: makeBody } = require('./body.js');
const calls = require('./calls.js');
const dialect = require('./dialect.js');
const { baseOf, classOf } = require('./error-classes.js');
const { HAND_OVER } = require('./hand-over.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Answer} Answer */

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

/** Members that errors have of themselves. */
const OWN = new Set(['name', 'stack', 'cause', '$fault', '$metadata', '$response', '$retryable']);

/**
 * @typedef {object} Description what an error is made of
 * @property {string} name
 * @property {boolean} isKnown whether there is a class of this name
 * @property {string} message
 * @property {boolean} [isTold] whether the class is told the message, which nobody sees who lists members then
 * @property {Record<string, unknown>} [own] members that the class has, with a value or without
 * @property {Record<string, unknown>} members all others, in order
 * @property {string | undefined} [requestId] the call's, where no header says it
 */

/**
 * The error for an answer.
 * @param {Package} owner
 * @param {import('./types').Operation} operation
 * @param {Answer} answer
 * @param {Description} description
 */
function make(owner, operation, answer, { name, isKnown, message, isTold, own = {}, members, requestId }) {
  const { status } = answer;
  const reason = REASONS[status];
  const way = dialect.of(owner);
  if (reason === undefined || way.showsResponse) {
    throw HAND_OVER;
  }
  const headers = answer.headers();
  // HTTP does not say this of an answer to HEAD which the gateway makes itself.
  if (operation.method === 'HEAD' && headers['content-length'] === '0') {
    delete headers['content-length'];
  }
  const metadata = calls.metadata(status, headers);
  metadata.requestId ??= requestId;
  const body = makeBody(answer, undefined);
  body.resume();
  const response = {
    value: new HttpResponse(status, reason, headers, body),
    enumerable: false,
    writable: false,
    configurable: false,
  };
  /** @type {any} */
  const error = isTold ? new Error(message) : new Error();
  const trace = String(error.stack).slice(String(error).length);
  const kind = classOf(owner, isKnown ? name : baseOf(owner));
  Object.setPrototypeOf(error, kind.prototype);
  if (way.hasFields) {
    define(error, { $fault: 'client', $response: undefined, $retryable: undefined, $metadata: metadata, name });
  } else {
    define(error, { name, $fault: 'client', $metadata: metadata });
  }
  define(error, own);
  define(error, members);
  Object.defineProperty(error, '$response', response);
  error.stack = `${name}: ${message}${trace}`;
  return error;
}

/**
 * @param {object} error
 * @param {Record<string, unknown>} members
 */
function define(error, members) {
  for (const [key, value] of Object.entries(members)) {
    const enumerable = Object.getOwnPropertyDescriptor(error, key)?.enumerable ?? true;
    Object.defineProperty(error, key, { value, writable: true, enumerable, configurable: true });
  }
}

/**
 * Whether a field of a service's may be a member of an error, as it is.
 * @param {string} field
 */
function isFree(field) {
  return field === 'message' || !(OWN.has(field) || field in Error.prototype);
}

module.exports = { isFree, make };
