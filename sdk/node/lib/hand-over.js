// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Thrown where a real client has to make a call. It is the same for all, though a program may clear `require.cache` at any time, and
 * have a part of the shim be loaded anew.
 */
const HAND_OVER = Symbol.for('nexus.hand-over');

module.exports = { HAND_OVER };
