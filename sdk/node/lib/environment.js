// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Whether a client of some configuration, in this environment, does what the gateway does. */

const fs = require('node:fs');

/** Where the gateway answers the SDK's own requests. */
const ENDPOINT = 'http://169.254.170.2';

/** Variables that change what a client does: with one of them set, clients are real. */
const CHANGES = [
  'AWS_PROFILE',
  'AWS_DEFAULTS_MODE',
  'AWS_MAX_ATTEMPTS',
  'AWS_RETRY_MODE',
  'AWS_REQUEST_CHECKSUM_CALCULATION',
  'AWS_RESPONSE_CHECKSUM_VALIDATION',
  'AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS',
  'AWS_S3_USE_ARN_REGION',
  'AWS_USE_DUALSTACK_ENDPOINT',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
  'AWS_ENABLE_ENDPOINT_DISCOVERY',
  'AWS_ENDPOINT_DISCOVERY_ENABLED',
  'NODE_USE_ENV_PROXY',
];

/** Variables without which it has no credentials. */
const NEEDED = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];

/** Files that change what a client does, and the variables that name others. */
const FILES = [
  ['AWS_CONFIG_FILE', 'config'],
  ['AWS_SHARED_CREDENTIALS_FILE', 'credentials'],
];

const REGION = /^[a-z0-9-]{1,63}$/;

/**
 * Whether a client's configuration says nothing that only a real client heeds.
 * @param {any} config
 */
function isPlain(config) {
  if (config === undefined || config === null) {
    return true;
  }
  if (typeof config !== 'object') {
    return false;
  }
  // The gateway is addressed by number, and buckets by path, whatever is said of it.
  return Object.entries(config).every(
    ([key, value]) =>
      value === undefined ||
      (key === 'region' && typeof value === 'string') ||
      (key === 'forcePathStyle' && typeof value === 'boolean'),
  );
}

/**
 * The region of a client with a plain configuration, or undefined if it has to be real.
 * @param {{ region?: string }} config
 */
function region(config) {
  const { env } = process;
  const found = config.region ?? env['AWS_REGION'];
  if (
    found === undefined ||
    !REGION.test(found) ||
    env['AWS_ENDPOINT_URL'] !== ENDPOINT ||
    CHANGES.some((name) => env[name] !== undefined)
  ) {
    return undefined;
  }
  if (!NEEDED.every((name) => env[name]) || Object.keys(env).some((name) => name.startsWith('AWS_ENDPOINT_URL_'))) {
    return undefined;
  }
  const home = env['HOME'] ?? require('node:os').homedir();
  const isConfigured = FILES.some(([variable, file]) =>
    fs.existsSync(env[/** @type {string} */ (variable)] || `${home}/.aws/${file}`),
  );
  return isConfigured ? undefined : found;
}

module.exports = { ENDPOINT, isPlain, region };
