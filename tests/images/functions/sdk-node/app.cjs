// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Tells what its SDK does, call by call: once with the shim and once without, to be compared on the host. */

const { CASES, bucketOf, run } = require('./equivalence.cjs');

/**
 * The names of all cases; or, for a `prefix` of buckets that there are, what became of each case.
 * @param {{ prefix?: string }} event
 */
function handler({ prefix }) {
  if (prefix === undefined) {
    return Promise.resolve(Object.keys(CASES).map((name) => bucketOf('', name)));
  }
  // Buckets have names of their own, which must not be a difference.
  return Promise.resolve(JSON.parse(JSON.stringify(run(prefix)).replaceAll(prefix, 'of-')));
}

exports.handler = handler;
