// SPDX-License-Identifier: Apache-2.0
'use strict';

/** The protocol of services that take a document in JSON and answer with another. */

const calls = require('./calls.js');
const dialect = require('./dialect.js');
const { HAND_OVER } = require('./hand-over.js');
const kinds = require('./kinds.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').JsonOperation} Operation */
/** @typedef {import('./types').Answer} Answer */

/**
 * @typedef {object} Plan how a release makes a call of an operation
 * @property {string} fields
 * @property {(value: any) => any} write
 * @property {((value: any) => any) | undefined} read undefined if nothing is answered
 */

/** What releases that speak an older protocol have in their text. */
const OLDER = 'application/x-www-form-urlencoded';

/**
 * The message for a call.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {any} input
 */
function request(owner, operation, input) {
  const { fields, write } = planOf(owner, operation);
  return { target: '/', fields, body: Buffer.from(JSON.stringify(write(input))) };
}

/**
 * The output that an answer is. What cannot be read is asked for again by a real client if nothing was changed by asking.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 * @param {any} input
 */
async function output(owner, operation, answer, input) {
  const { read } = planOf(owner, operation);
  const data = await answer.whole();
  let content = {};
  if (read && data.length > 0) {
    content = calls.certain(operation, () => read(JSON.parse(data.toString())));
  }
  operation.check?.(input, content);
  const $metadata = calls.metadata(answer.status, answer.headers());
  return dialect.of(owner).isListed ? { $metadata, ...content } : { ...content, $metadata };
}

/**
 * The error that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 */
function error(owner, operation, answer) {
  const { read } = /** @type {typeof import('./json-errors')} */ (require('./json-errors.js'));
  return read(owner, operation, answer, 'AwsJsonRpcProtocol');
}

/**
 * @param {Package} owner
 * @param {Operation} operation
 * @returns {Plan}
 */
function planOf(owner, operation) {
  const { plans } = dialect.of(owner);
  let plan = /** @type {Plan | null | undefined} */ (plans.get(operation));
  if (plan === undefined) {
    plan = makePlan(owner, operation);
    plans.set(operation, plan);
  }
  if (plan === null) {
    throw HAND_OVER;
  }
  return plan;
}

/**
 * @param {Package} owner
 * @param {Operation} operation
 * @returns {Plan | null} null if only a real client knows how
 */
function makePlan(owner, operation) {
  const { input, output: answered, isRead } = operation;
  const { target, version } = /** @type {{ target: string, version: string }} */ (owner.service.json);
  try {
    if (owner.text().includes(OLDER) || (answered && !isRead && kinds.hasMore(owner, answered))) {
      return null;
    }
    return {
      fields: `content-type\0application/x-amz-json-${version}\0x-amz-target\0${target}.${operation.name}\0`,
      write: kinds.writer(owner, input),
      read: answered && kinds.reader(owner, answered),
    };
  } catch (problem) {
    if (problem !== HAND_OVER) {
      throw problem;
    }
    return null;
  }
}

module.exports = { error, output, request };
