// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What else programs do with the package, its clients and its commands. */

const { execFileSync } = require('node:child_process');
const { Worker } = require('node:worker_threads');

const { outcome } = require('../plain.cjs');

/** @typedef {import('../equivalence.cjs').Case} Case */

/** @type {Record<string, Case>} */
module.exports = {
  async notCovered(s3, Bucket, sdk) {
    const held = s3;
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: 'x' }));
    /** @type {any[]} */
    const seen = [await outcome(() => s3.send(new sdk.ListObjectsCommand({ Bucket })))];
    seen.push(held === s3, s3 instanceof sdk.S3Client, s3.constructor.name, s3.constructor === sdk.S3Client);
    seen.push(
      await outcome(() => s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'x' }))),
      await outcome(() => s3.send(new sdk.ListObjectsV2Command({ Bucket }))),
    );
    s3.destroy();
    return seen;
  },

  async pages(s3, Bucket, sdk) {
    for (let number = 0; number < 5; number += 1) {
      await s3.send(new sdk.PutObjectCommand({ Bucket, Key: `key${number}`, Body: 'x' }));
    }
    const seen = [];
    for await (const page of sdk.paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket })) {
      seen.push(page.Contents.map((/** @type {{ Key: string }} */ { Key }) => Key));
    }
    return [seen, await outcome(() => sdk.waitUntilObjectExists({ client: s3, maxWaitTime: 10 }, { Bucket, Key: 'key1' }))];
  },

  async config(s3) {
    const { config } = s3;
    return [
      await config.region(),
      typeof config.credentials,
      config.apiVersion,
      s3.config === config,
      typeof s3.middlewareStack.add,
      'config' in s3,
    ];
  },

  async middleware(s3, Bucket, sdk) {
    const called = /** @type {string[]} */ ([]);
    s3.middlewareStack.add(
      (/** @type {any} */ next, /** @type {any} */ context) => (/** @type {any} */ args) => {
        called.push(context.commandName);
        return next(args);
      },
      { step: 'build', name: 'mine' },
    );
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: 'x' }));
    const command = new sdk.HeadObjectCommand({ Bucket, Key: 'x' });
    command.middlewareStack.add(
      (/** @type {any} */ next) => (/** @type {any} */ args) => {
        called.push('of a command');
        return next(args);
      },
      { step: 'build', name: 'another' },
    );
    await new sdk.S3Client({}).send(command);
    return called;
  },

  async clients(_, Bucket, sdk) {
    const configs = [
      undefined,
      {},
      { region: 'eu-west-1' },
      { forcePathStyle: true },
      { maxAttempts: 2 },
      { region: () => Promise.resolve('eu-west-1') },
      { region: '' },
      { logger: undefined },
    ];
    const seen = [];
    for (const config of configs) {
      seen.push(
        await outcome(async () => {
          const client = new sdk.S3Client(config);
          return [
            await client.send(new sdk.ListObjectsV2Command({ Bucket })),
            await client.config.region(),
            client.constructor.name,
          ];
        }),
      );
    }
    /** @type {import('../plain.cjs').Class} */
    const Client = sdk.S3Client;
    class Mine extends Client {
      /** @param {any[]} args */
      send(...args) {
        seen.push('mine');
        return super.send(...args);
      }
    }
    const mine = new Mine({});
    seen.push(
      await mine.send(new sdk.ListObjectsV2Command({ Bucket })),
      mine instanceof Mine,
      mine instanceof sdk.S3Client,
      new sdk.S3Client({}) instanceof Mine,
    );
    /** @type {import('../plain.cjs').Class} */
    const ListCommand = sdk.ListObjectsV2Command;
    class MyCommand extends ListCommand {}
    seen.push(
      await new sdk.S3Client({}).send(new MyCommand({ Bucket })),
      new MyCommand({}) instanceof sdk.ListObjectsV2Command,
    );
    seen.push(await outcome(() => sdk.S3Client({})), await outcome(() => sdk.GetObjectCommand({})));
    return seen;
  },

  async commands(s3, Bucket, sdk) {
    const command = new sdk.HeadObjectCommand({ Bucket, Key: 'x' });
    const seen = [
      command.input,
      command.constructor.name,
      command instanceof sdk.HeadObjectCommand,
      command instanceof sdk.GetObjectCommand,
      command instanceof sdk.$Command,
    ];
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'y', Body: 'y' }));
    command.input.Key = 'y';
    const sent = await Promise.all([s3.send(command), s3.send(command)]);
    seen.push(sent.length, sent[0].ContentLength, typeof command.resolveMiddleware, typeof command.middlewareStack.add);
    seen.push(
      (await s3.send(command)).ContentLength,
      typeof sdk.HeadObjectCommand.getEndpointParameterInstructions(),
      new sdk.HeadBucketCommand().input,
    );
    return seen;
  },

  exports(_, __, sdk) {
    const enums = ['ObjectCannedACL', 'StorageClass', 'ServerSideEncryption', 'ChecksumAlgorithm'].map((name) => sdk[name]);
    const { S3Client, GetObjectCommand } = require('@aws-sdk/client-s3');
    const same = [S3Client === sdk.S3Client, GetObjectCommand === sdk.GetObjectCommand, require('@aws-sdk/client-s3') === sdk];
    const kinds = Object.keys(sdk)
      .sort()
      .map((name) => [name, typeof sdk[name], Array.isArray(sdk[name])]);
    return [
      enums,
      same,
      kinds,
      'S3Client' in sdk,
      'Nothing' in sdk,
      sdk.Nothing,
      Boolean(sdk.__esModule),
      Object.isFrozen(sdk),
    ];
  },

  patched(s3, Bucket, sdk) {
    const original = sdk.S3Client.prototype.send;
    sdk.S3Client.prototype.send = () => Promise.resolve('mocked');
    const mocked = [
      s3.send(new sdk.HeadBucketCommand({ Bucket })),
      new sdk.S3Client({}).send(new sdk.HeadBucketCommand({ Bucket })),
    ];
    sdk.S3Client.prototype.send = original;
    return Promise.all([...mocked, s3.send(new sdk.HeadBucketCommand({ Bucket }))]);
  },

  async concurrent(s3, Bucket, sdk) {
    const one = async (/** @type {number} */ number) => {
      await s3.send(new sdk.PutObjectCommand({ Bucket, Key: `${number}`, Body: 'x'.repeat(number) }));
      if (number % 40 === 7) {
        await outcome(() => new sdk.S3Client({}).send(new sdk.GetBucketLocationCommand({ Bucket })));
      }
      const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: `${number}` }));
      return [number, (await got.Body.transformToString()).length];
    };
    const all = await Promise.all(Array.from({ length: 40 }, (___, number) => one(number)));
    // While some are underway the client becomes real.
    const mixed = await Promise.all([
      ...Array.from({ length: 20 }, (___, number) => one(number)),
      s3.send(new sdk.ListObjectsCommand({ Bucket })).then(() => 'listed'),
    ]);
    return [all.every(([number, length]) => number === length), mixed.length];
  },

  async aborted(s3, Bucket, sdk) {
    const controller = new AbortController();
    controller.abort();
    const seen = [await outcome(() => s3.send(new sdk.HeadBucketCommand({ Bucket }), { abortSignal: controller.signal }))];
    seen.push(
      await outcome(() => s3.send(new sdk.HeadBucketCommand({ Bucket }), { abortSignal: new AbortController().signal })),
    );
    return seen;
  },

  async imported(_, Bucket) {
    const module = await import('@aws-sdk/client-s3');
    const client = new module.S3Client({});
    await client.send(new module.PutObjectCommand({ Bucket, Key: 'x', Body: 'x' }));
    const names = Object.keys(module).filter((name) => name !== 'module.exports');
    const same = [module.S3Client === require('@aws-sdk/client-s3').S3Client, module.default === require('@aws-sdk/client-s3')];
    const error = await client
      .send(new module.GetObjectCommand({ Bucket, Key: 'no' }))
      .catch((/** @type {unknown} */ thrown) => thrown);
    return [names, same, error instanceof module.NoSuchKey, module.StorageClass, typeof module.paginateListObjectsV2];
  },

  async workers(s3, Bucket, sdk) {
    const source = `
      const { parentPort } = require('node:worker_threads');
      const { S3Client, PutObjectCommand } = require('@aws-sdk/client-s3');
      new S3Client({}).send(new PutObjectCommand({ Bucket: '${Bucket}', Key: 'from a worker', Body: 'x' })).then((output) => parentPort.postMessage(output.ETag));
    `;
    const worker = () =>
      new Promise((resolve, reject) => new Worker(source, { eval: true }).on('message', resolve).on('error', reject));
    await s3.send(new sdk.HeadBucketCommand({ Bucket }));
    return Promise.all([
      worker(),
      worker(),
      s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'from here', Body: 'x' })).then(() => 'done'),
    ]);
  },

  missing() {
    const script = `
      try { require('@aws-sdk/client-nothing') } catch (error) { console.log(error.code, error.message, error.requireStack) }
      import('@aws-sdk/client-nothing').catch((error) => console.log(error.code, error.message));
      console.log(process.execArgv, require.resolve('@aws-sdk/client-s3'));
    `;
    return execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', cwd: __dirname });
  },
};
