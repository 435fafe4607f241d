// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Package } = require('../lib/facade.js');
const { Gateway } = require('./gateway.cjs');

const gateway = new Gateway();

/** How classes name the shape in the service's model that they are for. */
const SHAPE = 'static shapeId = ';

/** What the packages beneath say of how errors are made, of a release that describes them. */
const PARTS = {
  '@aws-sdk/core/protocols': `
class ProtocolLib {
        throw this.decorateServiceException(Object.assign(new ErrorCtor({ name: errorName }), errorMetadata), dataObject);
        error.RequestId = reqId;
}
${['AwsJsonRpcProtocol', 'AwsRestJsonProtocol', 'AwsQueryProtocol'].map(protocol).join('')}`,
  '@smithy/core/client': 'class ServiceException extends Error {\n    $retryable;\n    targetName.length >= 6\n}\n',
  '@smithy/core/protocols': '',
  '@smithy/core/serde': 'Object.defineProperty(error, "$response", { value: response, enumerable: false });\n',
};

/** @param {string} name */
function protocol(name) {
  return `class ${name} extends Protocol {
        this.mixin.setQueryCompatError(dataObject, response);
        this.mixin.queryCompatOutput(dataObject, output);
        throw this.mixin.decorateServiceException(Object.assign(exception, errorMetadata, {
            $fault: ns.getMergedTraits().error,
            message,
        }, output), dataObject);
}
`;
}

/**
 * A class of errors in a package's text.
 * @param {string} name
 * @param {string} base
 * @param {string[]} own members that it has of its own
 */
function kind(name, base, ...own) {
  const given = own.map((member) => `        this.${member} = opts.${member};\n`).join('');
  return `class ${name} extends ${base} {
    ${SHAPE}"com.example#${name}";
    constructor(opts) {
        super({ name: "${name}", $fault: "client", ...opts });
${given}    }
}
exports.${name} = ${name};
`;
}

const SERVICES = {
  dynamodb: { service: require('../lib/dynamodb.js'), command: 'PutItemCommand', input: { TableName: 't' } },
  sqs: { service: require('../lib/sqs.js'), command: 'SendMessageCommand', input: { QueueUrl: 'q', MessageBody: 'x' } },
  lambda: { service: require('../lib/lambda.js'), command: 'InvokeCommand', input: { FunctionName: 'f' } },
  sns: { service: require('../lib/sns.js'), command: 'PublishCommand', input: { TopicArn: 't', Message: 'x' } },
};

/** What releases say of inputs and outputs, as far as calls take it. */
const SCHEMAS = `
const _a = "PutItemInput";
const _b = "PutItemOutput";
const _c = "SendMessageRequest";
const _d = "SendMessageResult";
const _e = "InvocationResponse";
const _f = "PublishResponse";
const _g = "TableName";
const _h = "QueueUrl";
const _i = "MessageBody";
var a = [3, n0, _a, 0, [_g], [0]];
var b = [3, n0, _b, 0, [], []];
var c = [3, n0, _c, 0, [_h, _i], [0, 0]];
var d = [3, n0, _d, 0, [], []];
var e = [3, n0, _e, 0, [], []];
var f = [3, n0, _f, 0, [], []];
`;

let installed = 0;

/**
 * A package of a release, whose real client says that it was asked.
 * @param {keyof typeof SERVICES} name
 * @param {string} text
 * @param {Record<string, string>} [parts]
 */
function install(name, text, parts = PARTS) {
  installed += 1;
  const { service, command, input } = SERVICES[name];
  const modules = path.join(gateway.folder, String(installed), 'node_modules');
  fs.mkdirSync(modules, { recursive: true });
  for (const [part, content] of Object.entries(parts)) {
    const place = path.join(modules, part);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.writeFileSync(`${place}.js`, content);
    const names = ['client', 'protocols', 'serde'].map((each) => [`./${each}`, { node: `./${each}.js` }]);
    fs.writeFileSync(path.join(path.dirname(place), 'package.json'), JSON.stringify({ exports: Object.fromEntries(names) }));
  }
  const filename = path.join(modules, 'client.js');
  const real = `
exports.${service.client} = class { send() { return Promise.resolve('real'); } };
exports.${command} = class { constructor(input) { this.input = input; } };
`;
  const [base, kinds] = [String(service.base), text.startsWith('//') ? '' : SCHEMAS];
  const general = text.includes(SHAPE) ? kind(base, 'ServiceException') : kind(base, 'ServiceException').replace(SHAPE, '');
  // What is only there to be read.
  fs.writeFileSync(filename, `/*\n${kinds}${general}${text}*/\n${real}`);
  const owner = new Package(filename, 1100, service);
  const send = (/** @type {import('./gateway.cjs').Reply} */ reply) => {
    gateway.answer = () => reply;
    const made = new owner.exports[command](input);
    return new owner.exports[String(service.client)]({ region: 'r' }).send(made).catch((/** @type {any} */ error) => error);
  };
  return { owner, send };
}

/**
 * The refusal that a service says in JSON.
 * @param {any} document
 * @param {Record<string, string>} [headers]
 */
function refusal(document, headers = {}) {
  return { status: 400, headers: { 'x-amzn-requestid': 'id', ...headers }, body: JSON.stringify(document) };
}

before(() => gateway.start());
after(() => gateway.stop());

const FAILED = 'ConditionalCheckFailedException';
const CONDITION = kind(FAILED, 'DynamoDBServiceException', '    constructor(opts) {\n        this.Item = opts.Item;\n    }');
const SAID = { __type: `com.amazonaws.dynamodb.v20120810#${FAILED}`, message: 'it is there' };

test('a condition that failed is an error with the item', async () => {
  const { owner, send } = install('dynamodb', CONDITION);
  const error = await send(refusal({ ...SAID, Item: { id: { S: 'a' }, b: { B: 'AP8=' } } }));
  assert.equal(owner.loaded, undefined);
  assert.deepEqual(Object.entries(error), [
    ['$fault', 'client'],
    ['$retryable', undefined],
    [
      '$metadata',
      {
        httpStatusCode: 400,
        requestId: 'id',
        extendedRequestId: undefined,
        cfId: undefined,
        attempts: 1,
        totalRetryDelay: 0,
      },
    ],
    ['name', FAILED],
    ['Item', { id: { S: 'a' }, b: { B: new Uint8Array([0, 255]) } }],
    ['message', 'it is there'],
    ['__type', SAID.__type],
  ]);
  assert.equal(error.stack.split('\n')[0], `${FAILED}: it is there`);
  assert.deepEqual([error.$response.statusCode, error.$response.reason], [400, 'Bad Request']);
  assert.equal(error instanceof owner.exports[FAILED] && error instanceof owner.exports['DynamoDBServiceException'], true);
  const without = await send(refusal(SAID));
  assert.deepEqual([Object.hasOwn(without, 'Item'), without.Item], [true, undefined]);
});

test('releases with a function for each error tell its class the message', async () => {
  const list = `// de_CommandError
var se_PutItemInput = (input) => {
  return take(input, {
    TableName: []
  });
}, "se_PutItemInput";
var de_${FAILED}Res = async (parsedOutput, context) => {
  const deserialized = de_${FAILED}(body, context);
}, "de_${FAILED}Res";
var de_${FAILED} = (output, context) => {
  return take(output, {
    Item: (_) => de_AttributeMap(_, context),
    message: expectString
  });
}, "de_${FAILED}";
`;
  const { send } = install('dynamodb', list + CONDITION);
  const error = await send(refusal({ Item: { id: { S: 'a' } }, Message: 'it is there', __type: FAILED }));
  assert.deepEqual(Object.keys(error), ['$fault', '$retryable', '$metadata', 'name', 'Item', '__type']);
  assert.deepEqual([error.message, error.Message, error.Item], ['it is there', undefined, { id: { S: 'a' } }]);
  assert.deepEqual(Object.getOwnPropertyNames(error).slice(0, 2), ['stack', 'message']);
});

test('an error without a class of its own is of the general one', async () => {
  const { owner, send } = install('dynamodb', CONDITION);
  const error = await send(refusal({ message: 'no', __type: 'com.amazon.coral.validate#ValidationException', also: 'x' }));
  assert.deepEqual(Object.keys(error).slice(3), ['name', 'message', '__type', 'also']);
  assert.deepEqual([error.name, error.constructor], ['ValidationException', owner.exports['DynamoDBServiceException']]);
});

test('what may be tried again, and what is not certain, is left to a real client', async () => {
  const past = new Date(Date.now() - 10 * 60_000).toUTCString();
  /** @type {import('./gateway.cjs').Reply[]} */
  const replies = [
    refusal({ ...SAID, __type: 'ThrottlingException' }),
    refusal({ ...SAID, __type: 'ProvisionedThroughputExceededException' }),
    refusal({ ...SAID, __type: 'ExpiredTokenException' }),
    refusal({ ...SAID, __type: 'constructor' }),
    refusal({ ...SAID, __type: 5 }),
    refusal({ message: 'x' }),
    refusal(SAID, { 'x-amzn-errortype': 'ValidationException' }),
    refusal(SAID, { date: past }),
    refusal(SAID, { date: 'no date' }),
    refusal({ __type: FAILED }),
    refusal({ ...SAID, message: '' }),
    refusal({ ...SAID, Message: 'another' }),
    refusal({ ...SAID, Item: null }),
    refusal({ ...SAID, Item: { id: { X: 'a' } } }),
    refusal({ ...SAID, name: 'Other' }),
    refusal({ ...SAID, code: 'Other' }),
    refusal({ ...SAID, more: {} }),
    refusal([SAID]),
    refusal(null),
    { ...refusal(SAID), body: '{' },
    { ...refusal(SAID), body: '' },
    { ...refusal(SAID), status: 500 },
    { ...refusal(SAID), status: 418 },
    { ...refusal(SAID), isCut: true },
  ];
  for (const reply of replies) {
    const { send } = install('dynamodb', CONDITION);
    assert.equal(await send(reply), 'real', JSON.stringify(reply));
  }
  const { send } = install('dynamodb', CONDITION);
  const now = new Date().toUTCString();
  assert.equal((await send(refusal(SAID, { date: now, 'x-amzn-errortype': `${FAILED}:http://example` }))).name, FAILED);
});

test('errors of releases that make them in another way are left to a real client', async () => {
  const member = CONDITION.replaceAll('Item', 'Other');
  const repeated = CONDITION.replace('    constructor', '    $retryable = {};\n    constructor');
  const other = { ...PARTS, '@aws-sdk/core/protocols': 'class AwsJsonRpcProtocol extends Protocol {\n}\n' };
  for (const { send } of [
    install('dynamodb', member),
    install('dynamodb', repeated),
    install('dynamodb', CONDITION, other),
    install('dynamodb', CONDITION, {}),
  ]) {
    assert.equal(await send(refusal(SAID)), 'real');
  }
});

test('an error of a queue tells of its name in the protocol before', async () => {
  const trait =
    'var QueueDoesNotExist$ = [-3, n0, _QDNE,\n    { [_aQE]: [`AWS.SimpleQueueService.NonExistentQueue`, 400], [_e]: _c },\n';
  const text = kind('QueueDoesNotExist', 'SQSServiceException') + trait;
  const said = { __type: 'com.amazonaws.sqs#QueueDoesNotExist', message: 'no queue' };
  const { send } = install('sqs', text);
  const [Code, Type] = ['AWS.SimpleQueueService.NonExistentQueue', 'Sender'];
  const error = await send(refusal(said, { 'x-amzn-query-error': `${Code};${Type}` }));
  assert.deepEqual(Object.entries(error).slice(3), [
    ['name', 'QueueDoesNotExist'],
    ['message', 'no queue'],
    ['Error', { Code, Type, Message: 'no queue' }],
    ['Type', Type],
    ['Code', Code],
    ['__type', said.__type],
    ['RequestId', 'id'],
  ]);
  for (const former of [undefined, 'AWS.SimpleQueueService.Other;Sender', `${Code}`, `${Code};Sender;more`]) {
    const headers = former === undefined ? {} : { 'x-amzn-query-error': former };
    assert.equal(await install('sqs', text).send(refusal(said, headers)), 'real', former);
  }
});

test('an error of a function has its type', async () => {
  const { send } = install('lambda', kind('ResourceNotFoundException', 'LambdaServiceException', 'Type', 'Message'));
  const headers = { 'x-amzn-errortype': 'ResourceNotFoundException' };
  const error = await send({ ...refusal({ Type: 'User', Message: 'no function' }, headers), status: 404 });
  assert.deepEqual(Object.keys(error).slice(3), ['name', 'Type', 'message']);
  assert.deepEqual([error.Type, error.message, error.$response.reason], ['User', 'no function', 'Not Found']);
});

test('an error of a topic has its document', async () => {
  const trait = 'var NotFoundException$ = [-3, n0, _NFE,\n    { [_aQE]: [`NotFound`, 404], [_e]: _c },\n';
  const text = kind('NotFoundException', 'SNSServiceException') + trait;
  const document = `<ErrorResponse xmlns="http://example/">
  <Error>
    <Type>Sender</Type>
    <Code>NotFound</Code>
    <Message>no &lt;topic&gt;</Message>
  </Error>
  <RequestId>id</RequestId>
</ErrorResponse>
`;
  const { send } = install('sns', text);
  const [Type, Code, Message] = ['Sender', 'NotFound', 'no <topic>'];
  const error = await send({ status: 404, headers: {}, body: document });
  assert.deepEqual(Object.entries(error).slice(3), [
    ['name', 'NotFoundException'],
    ['message', Message],
    ['Type', Type],
    ['Code', Code],
    ['Error', { Type, Code, Message }],
    ['RequestId', 'id'],
    ['xmlns', 'http://example/'],
  ]);
  for (const [part, instead] of [
    ['NotFound<', 'Throttled<'],
    ['  <Error>', '  text<Error>'],
    ['\n    <Type>', ' <Type>'],
    ['</Type>', '</Type><Type/>'],
    ['<Type>Sender</Type>', ''],
    ['no &lt;', '&#10;'],
    [' xmlns="http://example/"', ''],
    ['<RequestId>id</RequestId>', ''],
    ['<RequestId>', '<RequestId>id</RequestId><RequestId>'],
    ['</Error>', '<Detail>x</Detail></Error>'],
    ['</ErrorResponse>', ''],
  ]) {
    const reply = { status: 404, headers: {}, body: document.replace(String(part), String(instead)) };
    assert.equal(await install('sns', text).send(reply), 'real', part);
  }
});

test('an error passes for one of another class as far as the release says so', async () => {
  const error = await install('dynamodb', CONDITION).send(refusal(SAID));
  const alike = { $fault: 'client', $metadata: {}, name: FAILED };
  const of = (/** @type {string} */ client, text = CONDITION) => {
    const parts = { ...PARTS, '@smithy/core/client': client };
    return install('dynamodb', text, parts).owner.exports[FAILED];
  };
  const [shapes, names, none] = [of(PARTS['@smithy/core/client']), of('candidate.name === this.name'), of('')];
  const older = of(PARTS['@smithy/core/client'], CONDITION.replace(SHAPE, ''));
  assert.deepEqual(
    [shapes, names, none].map((each) => [error instanceof each, alike instanceof each]),
    [
      [false, true],
      [true, true],
      [false, false],
    ],
  );
  assert.equal(new Error('other') instanceof names, false);
  assert.equal(error instanceof older, true);
});
