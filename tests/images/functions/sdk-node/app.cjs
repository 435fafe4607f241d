// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Tells what its SDK does, call by call: once with the shim and once without, to be compared on the host. */

const { CASES, bucketOf, run } = require('./equivalence.cjs');
const measure = require('./measure.cjs');

/**
 * The names of all cases, as their buckets have them; for a `prefix` of buckets that there are, what became of each, or of the `only` one
 * that is named; the same of other `services`; or the calls that are to be measured.
 * @param {any} event
 * @returns {Promise<unknown>}
 */
function handler(event) {
  const { prefix, only } = event;
  if ('what' in event) {
    return measure.handler(event);
  }
  if ('services' in event) {
    // What it does not look at, others do.
    return Promise.resolve(require('./services.cjs').run(event.services));
  }
  if (prefix === undefined) {
    return Promise.resolve(Object.keys(CASES).map((name) => bucketOf('', name)));
  }
  // Buckets have names of their own, which must not be a difference.
  return Promise.resolve(JSON.parse(JSON.stringify(run(prefix, only)).replaceAll(prefix, 'of-')));
}

exports.handler = handler;
