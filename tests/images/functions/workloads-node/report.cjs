// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Sums up log files in an object store. Written for version 2 of the SDK, in the styles that people used it in. */

const readline = require('node:readline');
const { PassThrough } = require('node:stream');
const zlib = require('node:zlib');

const AWS = require('aws-sdk');

const s3 = new AWS.S3();

/**
 * Counts what the logs below `prefix` say; the counts are an object, and so are all lines, packed.
 * @param {{ bucket: string, prefix: string, output_key: string }} event
 */
async function handler({ bucket, prefix, output_key: outputKey }) {
  const keys = await list(bucket, prefix);
  /** @type {Record<string, number>} */
  const counts = {};
  const packed = new PassThrough();
  const upload = s3
    .upload({ Bucket: bucket, Key: `${outputKey}.log.gz`, Body: packed, ContentType: 'application/gzip' })
    .promise();
  const gzip = zlib.createGzip();
  gzip.pipe(packed);
  for (const key of keys) {
    for await (const line of readline.createInterface({
      input: s3.getObject({ Bucket: bucket, Key: key }).createReadStream(),
    })) {
      const [method, , status] = line.split(' ');
      const kind = `${method} ${status}`;
      counts[kind] = (counts[kind] ?? 0) + 1;
      gzip.write(`${line}\n`);
    }
  }
  gzip.end();
  const uploaded = await upload;
  const Body = JSON.stringify(Object.fromEntries(Object.entries(counts).sort()));
  await s3.putObject({ Bucket: bucket, Key: `${outputKey}.json`, Body, Metadata: { files: String(keys.length) } }).promise();
  return { keys, counts: await counted(bucket, `${outputKey}.json`), packed: uploaded.Key, missing: await missing(bucket) };
}

/**
 * All keys below a prefix, a few at a time.
 * @param {string} Bucket
 * @param {string} Prefix
 */
async function list(Bucket, Prefix) {
  /** @type {string[]} */
  const keys = [];
  /** @type {string | undefined} */
  let token;
  do {
    const page = await s3.listObjectsV2({ Bucket, Prefix, MaxKeys: 3, ContinuationToken: token }).promise();
    keys.push(...page.Contents.map((/** @type {{ Key: string }} */ entry) => entry.Key));
    token = page.NextContinuationToken;
  } while (token);
  return keys;
}

/**
 * What was written, by a callback.
 * @param {string} Bucket
 * @param {string} Key
 * @returns {Promise<unknown>}
 */
function counted(Bucket, Key) {
  return new Promise((resolve, reject) => {
    s3.getObject({ Bucket, Key }, (/** @type {Error | null} */ error, /** @type {any} */ data) => {
      if (error) {
        reject(error);
      } else {
        resolve({ ...JSON.parse(data.Body.toString()), metadata: data.Metadata, length: data.ContentLength });
      }
    });
  });
}

/**
 * The error of an object that is not there.
 * @param {string} Bucket
 */
async function missing(Bucket) {
  try {
    await s3.headObject({ Bucket, Key: 'nothing' }).promise();
    return null;
  } catch (error) {
    const { name, code, statusCode, retryable } = /** @type {any} */ (error);
    return { name, code, statusCode, retryable };
  }
}

exports.handler = handler;
