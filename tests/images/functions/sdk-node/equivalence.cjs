// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What programs see of the SDK, call by call, written down as plain data.
 *
 * Run once with the shim and once with the image's own SDK, against the same kind of store: what is written down has to be the
 * same. Each case gets a client and a bucket of its own; what it returns is written down, or the error that it throws, and at
 * the end what the bucket then holds.
 *
 * `node equivalence.cjs PREFIX` runs all cases, in buckets whose names begin so and that are there; `--buckets PREFIX` names them.
 */

const { spawnSync } = require('node:child_process');

const { placeholders } = require('./cases/libraries.cjs');
const { outcome } = require('./plain.cjs');

/** How long a case may take, in milliseconds. In emulation some take a minute. */
const LIMIT = 600_000;

/** @typedef {(s3: any, bucket: string, sdk: any) => unknown} Case */

/** @type {Record<string, Case>} */
const CASES = {
  ...require('./cases/calls.cjs'),
  ...require('./cases/streams.cjs'),
  ...require('./cases/surface.cjs'),
  ...require('./cases/uploads.cjs'),
  ...require('./cases/libraries.cjs').CASES,
  ...require('./cases/changes.cjs'),
};

/**
 * The bucket of a case.
 * @param {string} prefix
 * @param {string} name
 */
function bucketOf(prefix, name) {
  return prefix + name.replace(/[A-Z]/g, (char) => `-${char.toLowerCase()}`);
}

/**
 * Runs all cases, or that of one bucket, each in a process of its own, since one that looks deep changes the process for those after it.
 * @param {string} prefix
 * @param {string} [only] the bucket's name, without the prefix
 */
function run(prefix, only) {
  const names = Object.keys(CASES).filter((name) => only === undefined || bucketOf('', name) === only);
  return Object.fromEntries(
    names.map((name) => {
      const child = spawnSync(process.execPath, [__filename, '--case', name, bucketOf(prefix, name)], {
        encoding: 'utf8',
        timeout: LIMIT,
      });
      return [name, child.status === 0 ? JSON.parse(child.stdout) : { died: child.status, said: child.stderr }];
    }),
  );
}

/**
 * @param {string} name
 * @param {string} bucket
 */
async function runOne(name, bucket) {
  const sdk = require('@aws-sdk/client-s3');
  const s3 = new sdk.S3Client({ region: process.env['AWS_REGION'] });
  const seen = /** @type {any} */ (await outcome(() => /** @type {Case} */ (CASES[name])(s3, bucket, sdk)));
  // Whether the real SDK had to be loaded, and whether a URL or form was signed with a placeholder: all that may differ.
  seen.loaded = Object.keys(require.cache).some((file) => /\/@smithy\/(?:core|smithy-client)\//.test(file));
  if (placeholders.length > 0) {
    seen.placeholder = placeholders.includes(true);
  }
  const list = await new sdk.S3Client({}).send(new sdk.ListObjectsV2Command({ Bucket: bucket }));
  seen.left = [];
  for (const { Key } of list.Contents ?? []) {
    seen.left.push([Key, await outcome(() => new sdk.S3Client({}).send(new sdk.HeadObjectCommand({ Bucket: bucket, Key })))]);
  }
  return seen;
}

async function main() {
  const [first, ...rest] = process.argv.slice(2);
  if (first === '--case') {
    const [name, bucket] = /** @type {[string, string]} */ (rest);
    // A body that nobody reads would keep the process alive.
    process.stdout.write(JSON.stringify(await runOne(name, bucket)), () => process.exit());
  } else if (first === '--buckets') {
    process.stdout.write(
      Object.keys(CASES)
        .map((name) => `${bucketOf(rest[0] ?? '', name)}\n`)
        .join(''),
    );
  } else {
    process.stdout.write(`${JSON.stringify(run(first ?? ''), undefined, 1)}\n`);
  }
}

if (require.main === module) {
  main();
}

module.exports = { CASES, bucketOf, run };
