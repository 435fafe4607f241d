// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Whether a program has changed what a real client does. */

const environment = require('./environment.js');

/** Members of a configuration that clients set themselves. */
const OWN = new Set(['endpoint', 'isCustomEndpoint', 'signingName', 'signingRegion', 'systemClockOffset']);

/**
 * What tells later whether a client still does what it does now.
 * @param {any} client
 * @returns {() => Promise<boolean>}
 */
function watch(client) {
  const { config, middlewareStack } = client;
  const members = { ...config };
  const steps = stepsOf(middlewareStack);
  return async () => {
    const now = stepsOf(client.middlewareStack);
    return (
      client.config === config &&
      client.middlewareStack === middlewareStack &&
      steps !== undefined &&
      steps.length === now?.length &&
      steps.every((step, at) => step === now[at]) &&
      Object.keys({ ...members, ...config }).every((name) => OWN.has(name) || Object.is(members[name], config[name])) &&
      (await leadsToGateway(config.endpoint))
    );
  };
}

/**
 * The functions that a client's calls go through, or undefined.
 * @param {any} stack
 */
function stepsOf(stack) {
  /** @type {Function[]} */
  const steps = [];
  const add = (/** @type {Function} */ step) => steps.push(step);
  try {
    stack.applyToStack({ add, addRelativeTo: add });
  } catch {
    return undefined;
  }
  return steps;
}

/**
 * @param {any} endpoint as a configuration has it: undefined until it is found in the environment
 */
async function leadsToGateway(endpoint) {
  if (endpoint === undefined) {
    return true;
  }
  try {
    const { protocol, hostname, port, path } = await endpoint();
    return `${protocol}//${hostname}` === environment.ENDPOINT && port === undefined && path === '/';
  } catch {
    return false;
  }
}

module.exports = { watch };
