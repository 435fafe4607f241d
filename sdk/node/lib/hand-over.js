// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Thrown where a real client has to make a call. It is the same for all, though a program may clear `require.cache` at any time, and
 * have a part of the shim be loaded anew.
 */
const HAND_OVER = Symbol.for('nexus.hand-over');

/**
 * @typedef {object} Instead what a real client is to do
 * @property {any} input what it sends: a command may hold something else by then
 * @property {boolean} isOnce whether it can do that only once
 */

/**
 * What is thrown in its place once the input of a command was read.
 * @param {any} input as it was then
 * @param {boolean} isOnce
 * @returns {{ [HAND_OVER]: Instead }}
 */
function handOver(input, isOnce) {
  return { [HAND_OVER]: { input, isOnce } };
}

/**
 * What a real client is to do if this was thrown; undefined if it is an error.
 * @param {any} thrown
 * @returns {Instead | undefined}
 */
function insteadOf(thrown) {
  return thrown?.[HAND_OVER];
}

module.exports = { HAND_OVER, handOver, insteadOf };
