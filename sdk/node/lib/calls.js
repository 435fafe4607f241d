// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * One call: from a command's input to a message for the gateway, and from its answer to an output.
 *
 * Whatever is not plain is handed over: before anything was sent, or where sending it twice does no harm. Then a real client makes
 * the call, and says what it has to say.
 */

const channel = require('./channel.js');
const { copy } = require('./copies.js');
const { HAND_OVER, handOver } = require('./hand-over.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Operation} Operation */
/** @typedef {import('./types').Answer} Answer */

/** Statuses of answers to a call that a real client makes again, or somewhere else. */
const AGAIN = new Set([301, 307, 429]);

/** How far a clock is off, in milliseconds, before real clients may set it right and make a call again. They wait for five minutes. */
const SKEW = 4 * 60_000;

/** Programs that have timers of their own, as tests do, take this over. */
const { nextTick } = process;

/**
 * Makes a call.
 * @param {Package} owner
 * @param {string} region
 * @param {Operation} operation
 * @param {any} input
 * @returns {Promise<unknown>}
 */
async function run(owner, region, operation, input) {
  const { service, protocol } = owner;
  let ready = operation.isCopied ? { ...input } : input;
  let isOnce = false;
  let sent;
  await settled();
  try {
    const reading = protocol.prepare?.(operation, ready);
    if (reading !== undefined) {
      ready = await reading;
      isOnce = true;
    }
    const { target, fields, body } = protocol.request(owner, operation, ready);
    sent = copy(ready);
    const head = `${service.signing}\0${region}\0${operation.name}\0${operation.method}\0${target}\0${fields}`;
    const answer = await channel.request(head, body);
    if (answer.status < 300) {
      return await protocol.output(owner, operation, answer, input);
    }
    if (answer.status >= 500 || AGAIN.has(answer.status) || (isSkewed(answer) && !operation.isFinal)) {
      answer.close();
      throw HAND_OVER;
    }
    const error = await protocol.error(owner, operation, answer);
    throw isOnce ? once(error) : error;
  } catch (error) {
    if (error !== HAND_OVER && !(error instanceof channel.Broken)) {
      throw error;
    }
    throw handOver(sent ?? ready, isOnce);
  }
}

/**
 * Whether a service's clock differs from the one here.
 * @param {Answer} answer
 */
function isSkewed(answer) {
  const { date } = answer.headers();
  return date !== undefined && !(Math.abs(Date.parse(date) - Date.now()) < SKEW);
}

/**
 * Waits until a program has done all that it does at once. Only then do real clients read an input: what the program has changed in
 * it meanwhile is sent.
 */
async function settled() {
  await undefined;
  await new Promise((resolve) => {
    nextTick(resolve);
  });
}

/**
 * An error of a call that could be made only once: it does not tell of attempts.
 * @param {any} error
 */
function once(error) {
  if (error?.$metadata) {
    delete error.$metadata.attempts;
    delete error.$metadata.totalRetryDelay;
  }
  return error;
}

/**
 * What an answer says, where success is certain: a call that changes something is not made again because its answer cannot be
 * read.
 * @template T
 * @param {Operation} operation
 * @param {() => T} read
 */
function certain(operation, read) {
  try {
    return read();
  } catch (problem) {
    if (operation.isRead) {
      throw HAND_OVER;
    }
    throw problem === HAND_OVER
      ? new Error(`The answer to ${operation.name} cannot be read. The call was made, and is not made again.`)
      : problem;
  }
}

/**
 * What each output says of its call.
 * @param {number} status
 * @param {Record<string, string>} headers
 */
function metadata(status, headers) {
  return {
    httpStatusCode: status,
    requestId: headers['x-amzn-requestid'] ?? headers['x-amzn-request-id'] ?? headers['x-amz-request-id'],
    extendedRequestId: headers['x-amz-id-2'],
    cfId: headers['x-amz-cf-id'],
    attempts: 1,
    totalRetryDelay: 0,
  };
}

module.exports = { certain, metadata, once, run };
