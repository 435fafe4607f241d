// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What programs change: inputs that they have handed in, classes and clients. */

const { optional, told } = require('./libraries.cjs');
const { outcome } = require('../plain.cjs');

/** @typedef {import('../equivalence.cjs').Case} Case */

/** @type {Record<string, Case>} */
module.exports = {
  async inputsChanged(s3, Bucket, sdk) {
    const seen = [];
    for (const steps of [0, 5]) {
      const put = { Bucket, Key: `first${steps}`, Body: 'first', Metadata: { said: 'first' } };
      const stored = s3.send(new sdk.PutObjectCommand(put));
      for (let step = 0; step < steps; step += 1) {
        await undefined;
      }
      Object.assign(put, { Key: `second${steps}`, Body: 'second' });
      put.Metadata.said = 'second';
      seen.push(await stored);
      const list = { Bucket, Prefix: 'nothing' };
      const listed = s3.send(new sdk.ListObjectsV2Command(list));
      for (let step = 0; step < steps; step += 1) {
        await undefined;
      }
      list.Prefix = 'first';
      seen.push((await listed).KeyCount);
    }
    // One input for many calls.
    const shared = { Bucket, Key: '' };
    const calls = ['first0', 'first5'].map((Key) => {
      shared.Key = Key;
      return s3.send(new sdk.DeleteObjectCommand(shared));
    });
    await Promise.all(calls);
    return seen;
  },

  async inputsNoted(s3, Bucket, sdk) {
    const Delete = { Objects: [{ Key: 'none' }] };
    const seen = [];
    for (const [command, input] of [
      [sdk.PutObjectCommand, { Bucket, Key: 'x', Body: 'x' }],
      [sdk.GetObjectCommand, { Bucket, Key: 'x' }],
      [sdk.HeadObjectCommand, { Bucket, Key: 'x' }],
      [sdk.DeleteObjectsCommand, { Bucket, Delete }],
      [sdk.DeleteObjectsCommand, { Bucket, Delete, ChecksumAlgorithm: undefined }],
      [sdk.DeleteObjectsCommand, Object.freeze({ Bucket, Delete })],
      [sdk.PutObjectCommand, Object.freeze({ Bucket, Key: 'y', Body: 'x' })],
      [sdk.ListObjectsV2Command, { Bucket }],
    ]) {
      seen.push(await outcome(() => s3.send(new command(input)).then(() => 'done')), Object.keys(input));
    }
    return seen;
  },

  async methodsReplaced(_, Bucket, sdk) {
    /** @type {unknown[]} */
    const seen = [];
    const { prototype } = sdk.S3Client;
    const { send } = prototype;
    /** @type {(this: object, ...args: any[]) => unknown} */
    prototype.send = function (...args) {
      seen.push([this.constructor.name, args[0].constructor.name, args.length]);
      return send.apply(this, args);
    };
    const one = new sdk.S3({});
    for (const client of [one, new sdk.S3({ maxAttempts: 2 }), new sdk.S3Client({})]) {
      seen.push(await outcome(() => client.send(new sdk.HeadBucketCommand({ Bucket }))));
    }
    seen.push(await outcome(() => one.headBucket({ Bucket })));
    // A real client from here on.
    seen.push(await outcome(() => one.listObjects({ Bucket })), await outcome(() => one.headBucket({ Bucket })));
    seen.push(await outcome(() => new sdk.S3({}).headBucket({ Bucket })));
    prototype.send = send;
    seen.push(await outcome(() => new sdk.S3({}).headBucket({ Bucket })));
    for (const client of [one, new sdk.S3({})]) {
      client.send = () => Promise.resolve('of one');
      seen.push(await client.headBucket({ Bucket }), Object.keys(client).includes('send'));
    }
    sdk.S3.prototype.send = () => Promise.resolve('of its kind');
    seen.push(await new sdk.S3({}).headBucket({ Bucket }), 'send' in new sdk.S3({}));
    delete sdk.S3.prototype.send;
    prototype.destroy = () => 'replaced';
    return [...seen, await outcome(() => new sdk.S3({}).headBucket({ Bucket })), new sdk.S3({}).destroy(), one.destroy()];
  },

  async presignedByChangedClients(s3, Bucket, sdk) {
    const signer = optional('@aws-sdk/s3-request-presigner');
    if (signer === undefined) {
      return 'not installed';
    }
    const command = new sdk.GetObjectCommand({ Bucket, Key: 'x' });
    const sign = (/** @type {any} */ client) =>
      outcome(async () => {
        const url = await signer.getSignedUrl(client, command);
        return [told(url), new URL(url).searchParams.get('x-mine'), new URL(url).hostname.includes('elsewhere')];
      });
    const step = (/** @type {any} */ next) => (/** @type {any} */ args) => {
      args.request.query['x-mine'] = 'here';
      return next(args);
    };
    const change = (/** @type {any} */ client) => client.middlewareStack.add(step, { step: 'build', name: 'mine' });
    const seen = [];
    await outcome(() => s3.send(new sdk.GetBucketLocationCommand({ Bucket })));
    seen.push(await sign(s3));
    change(s3);
    seen.push(await sign(s3));
    const other = new sdk.S3({});
    change(other);
    seen.push(await sign(other));
    const moved = new sdk.S3Client({});
    moved.config.endpoint = () => Promise.resolve({ protocol: 'https:', hostname: 'elsewhere', path: '/' });
    return [...seen, await sign(moved)];
  },
};
