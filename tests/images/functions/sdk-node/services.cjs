// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What programs see of services other than S3, as `equivalence` writes it down of S3.
 *
 * `node services.cjs [CASE…]` prints it. The services are servers that keep nothing from the run before: moto, and a Lambda that
 * answers with what it is given.
 */

const { spawnSync } = require('node:child_process');

const { outcome, volatile } = require('./plain.cjs');

/** How long a case may take, in milliseconds. In emulation some take a minute, and a server may load a service for as long. */
const LIMIT = 600_000;

// Their documents hold times, and they name what they keep.
['content-length', 'MessageId', 'ReceiptHandle', 'x-amzn-requestid', 'totalRetryDelay', 'VersionId', 'ARN'].forEach((name) =>
  volatile(name),
);
// moto writes it in capitals, and a message does not say it.
volatile('reason');

/** @type {Record<string, () => unknown>} */
const CASES = {
  ...require('./cases/services/items.cjs'),
  ...require('./cases/services/documents.cjs'),
  ...require('./cases/services/others.cjs'),
  ...require('./cases/services/errors.cjs'),
};

/** Makes what the cases need. */
async function prepare() {
  const { DynamoDBClient, CreateTableCommand } = require('@aws-sdk/client-dynamodb');
  const { SQSClient, CreateQueueCommand } = require('@aws-sdk/client-sqs');
  const { SNSClient, CreateTopicCommand } = require('@aws-sdk/client-sns');
  const { SecretsManagerClient, CreateSecretCommand } = require('@aws-sdk/client-secrets-manager');
  const { SSMClient, PutParameterCommand } = require('@aws-sdk/client-ssm');
  const dynamo = new DynamoDBClient({});
  for (const TableName of Object.keys(CASES)) {
    await dynamo.send(
      new CreateTableCommand({
        TableName,
        KeySchema: [
          { AttributeName: 'id', KeyType: 'HASH' },
          { AttributeName: 'n', KeyType: 'RANGE' },
        ],
        AttributeDefinitions: [
          { AttributeName: 'id', AttributeType: 'S' },
          { AttributeName: 'n', AttributeType: 'N' },
        ],
        BillingMode: 'PAY_PER_REQUEST',
      }),
    );
  }
  await new SQSClient({}).send(new CreateQueueCommand({ QueueName: 'queue' }));
  await new SNSClient({}).send(new CreateTopicCommand({ Name: 'topic' }));
  const secrets = new SecretsManagerClient({});
  await secrets.send(new CreateSecretCommand({ Name: 'text', SecretString: 'hidden' }));
  await secrets.send(new CreateSecretCommand({ Name: 'bytes', SecretBinary: Buffer.from('\0hidden') }));
  await new SSMClient({}).send(new PutParameterCommand({ Name: '/app/one', Value: 'first', Type: 'String' }));
}

/**
 * What a process of its own does.
 * @param {string[]} args
 */
function child(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [__filename, ...args], { encoding: 'utf8', timeout: LIMIT });
  return status === 0 ? JSON.parse(stdout) : { died: status, said: stderr };
}

/**
 * @param {string} name
 */
async function runOne(name) {
  const seen = /** @type {any} */ (await outcome(/** @type {() => unknown} */ (CASES[name])));
  seen.loaded = Object.keys(require.cache).some((file) => file.includes('/@smithy/'));
  return seen;
}

/**
 * The names of all cases, before the first of which something is made; or what became of one, in a process of its own.
 * @param {string | null} name
 */
function run(name) {
  if (name !== null) {
    return child(['--case', name]);
  }
  const prepared = child(['--prepare']);
  if ('died' in prepared) {
    throw new Error(`What the cases need could not be made: ${prepared.said}`);
  }
  return Object.keys(CASES);
}

async function main() {
  const [first, ...rest] = process.argv.slice(2);
  if (first === '--prepare') {
    await prepare();
    process.stdout.write('{}');
  } else if (first === '--case') {
    process.stdout.write(JSON.stringify(await runOne(/** @type {string} */ (rest[0]))), () => process.exit());
  } else {
    const names = first === undefined ? Object.keys(CASES) : [first, ...rest];
    run(null);
    process.stdout.write(`${JSON.stringify(Object.fromEntries(names.map((name) => [name, run(name)])), undefined, 1)}\n`);
  }
}

if (require.main === module) {
  main();
}

module.exports = { run };
