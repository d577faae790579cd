// SPDX-License-Identifier: Apache-2.0
// Runs a Node handler against the Lambda Runtime API (2018-06-01). Node 16 or later, no packages.
//
// Each request has its own connection, and one that breaks is made anew: the server may have been restarted while the
// handler ran, and an answer must not get lost by that.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const util = require('node:util');
const { pathToFileURL } = require('node:url');

const api = process.env.AWS_LAMBDA_RUNTIME_API;
const cut = api.lastIndexOf(':');
const [host, port] = [api.slice(0, cut), Number(api.slice(cut + 1))];
const root = '/2018-06-01/runtime/';
const patience = 60_000; // ms for which a server that is away is tried again
const mark = '\x1egreengate:end '; // the server takes it as: all that this invocation printed has been read

let current = ''; // request id
const init = '-'; // in place of a request id in the mark that ends the output of the initialization
let settle = null; // ends the invocation under way: (error, value) => void
let whenEmpty = null; // what to do when the event loop has nothing left
let initialized = false;

function once(method, target, body, headers) {
  return new Promise((resolve, reject) => {
    const req = http.request({ host, port, method, path: root + target, agent: false, headers: { ...headers, Connection: 'close' } }, (res) => {
      const chunks = [];
      res.on('data', (c) => chunks.push(c));
      res.on('error', reject);
      res.on('aborted', () => reject(new Error('aborted')));
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks) }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

async function call(method, target, body, headers = {}) {
  let giveUp = Date.now() + patience;
  let delay = 10;
  if (body !== undefined) headers = { ...headers, 'Content-Length': Buffer.byteLength(body) };
  for (;;) {
    const sent = Date.now();
    try {
      const res = await once(method, target, body, headers);
      if (res.status < 500) return res;
    } catch {
      // the server is away
    }
    const now = Date.now();
    if (now - sent > 5000) { // it was there for a long poll: patience starts again
      giveUp = now + patience;
      delay = 10;
    }
    if (now > giveUp) {
      fs.writeSync(2, `greengate: the Runtime API at ${api} is gone\n`);
      process.exit(1);
    }
    await new Promise((r) => setTimeout(r, delay));
    delay = Math.min(delay * 2, 500);
  }
}

function writeAll(fd, text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(fd, rest));
    } catch (e) {
      if (e.code !== 'EAGAIN') return;
    }
  }
}

function flushed(stream) {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableEnded) return resolve();
    stream.write('', () => resolve());
  });
}

async function finishOutput() {
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  writeAll(1, `${mark}${current || init}\n`);
  writeAll(2, `${mark}${current || init}\n`);
}

function patchConsole() {
  const levels = { log: 'INFO', info: 'INFO', debug: 'DEBUG', trace: 'TRACE', warn: 'WARN', error: 'ERROR' };
  for (const [name, level] of Object.entries(levels)) {
    console[name] = (...args) => {
      const text = `${new Date().toISOString()}\t${current || 'undefined'}\t${level}\t${util.format(...args)}`;
      // A line break inside one log event is \r, as in Lambda's own clients.
      process.stdout.write(text.replace(/\n/g, '\r') + '\n');
    };
  }
}

function fault(error, type) {
  if (util.types.isNativeError(error) || error instanceof Error) {
    const stack = (error.stack || '').split('\n').filter((l) => !l.includes(__filename));
    return { errorType: type || error.name || 'Error', errorMessage: String(error.message), trace: stack };
  }
  const text = typeof error === 'string' ? error : util.inspect(error);
  return { errorType: type || typeof error, errorMessage: text, trace: [] };
}

async function report(target, f) {
  const kind = target === 'init/error' ? 'Uncaught Exception' : 'Invoke Error';
  process.stdout.write(`${new Date().toISOString()}\t${current || 'undefined'}\tERROR\t${kind} \t${JSON.stringify(f)}\n`);
  await finishOutput();
  const type = f.errorType.replace(/[^\x21-\x7e]/g, '_').slice(0, 256);
  await call('POST', target, JSON.stringify(f), { 'Content-Type': 'application/json', 'Lambda-Runtime-Function-Error-Type': type });
}

class LoadError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

const candidates = (file) => [file, file + '.js', file + '.mjs', file + '.cjs'].filter((f) => fs.existsSync(f) && fs.statSync(f).isFile());

async function importModule(file, handler) {
  const [found] = candidates(file);
  if (!found) throw new LoadError('Runtime.ImportModuleError', `Error: Cannot find module '${path.basename(file)}' (handler ${handler})`);
  try {
    if (found.endsWith('.mjs')) return await import(pathToFileURL(found).href);
    try {
      return require(found);
    } catch (e) {
      if (e.code !== 'ERR_REQUIRE_ESM' && e.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw e;
      return await import(pathToFileURL(found).href);
    }
  } catch (e) {
    if (e instanceof SyntaxError) throw Object.assign(new LoadError('Runtime.UserCodeSyntaxError', String(e)), { stack: e.stack });
    if (e && (e.code === 'MODULE_NOT_FOUND' || e.code === 'ERR_MODULE_NOT_FOUND')) {
      throw Object.assign(new LoadError('Runtime.ImportModuleError', 'Error: ' + e.message), { stack: e.stack });
    }
    throw e;
  }
}

async function load(handler) {
  const dir = path.dirname(handler);
  const base = path.basename(handler);
  const dot = base.indexOf('.');
  if (dot <= 0 || handler.includes('..')) throw new LoadError('Runtime.MalformedHandlerName', `Bad handler '${handler}'`);
  const file = path.resolve(process.env.LAMBDA_TASK_ROOT || process.cwd(), dir, base.slice(0, dot));
  let value = await importModule(file, handler);
  for (const key of base.slice(dot + 1).split('.')) {
    value = value?.[key] ?? value?.default?.[key];
  }
  if (value === undefined) throw new LoadError('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  if (typeof value !== 'function') throw new LoadError('Runtime.HandlerNotFound', `${handler} is not a function`);
  return value;
}

function makeContext(headers, done) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const parse = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parse('lambda-runtime-client-context'),
    identity: parse('lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: current,
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
    done: (error, value) => done(error, value),
    fail: (error) => done(error === undefined ? 'handled' : error),
    succeed: (value) => done(null, value),
  };
}

// run calls the handler and returns its outcome. While it waits, only the handler's own work keeps the process alive:
// where nothing is left to do and nothing was answered the answer is null, as on Lambda.
function run(handler, headers, event) {
  return new Promise((resolve) => {
    const finish = (outcome) => {
      settle = null;
      whenEmpty = null;
      resolve(outcome); // only the first counts
    };
    const end = (error, value) => finish({ error, value, failed: error !== null && error !== undefined });
    const raise = (e) => end(e === undefined || e === null ? new Error(String(e)) : e);
    let called = false;
    const context = makeContext(headers, (error, value) => {
      if (called || settle === null) return;
      called = true;
      if (context.callbackWaitsForEmptyEventLoop && (error === null || error === undefined)) whenEmpty = () => end(null, value);
      else end(error, value);
    });
    settle = (error, type) => finish({ error, type, failed: true, fatal: true });
    whenEmpty = () => end(null, null);
    try {
      const value = handler(event, context, context.done);
      if (value && typeof value.then === 'function') value.then((v) => end(null, v), raise);
    } catch (e) {
      raise(e);
    }
  });
}

async function invoke(handler, res) {
  current = res.headers['lambda-runtime-aws-request-id'];
  if (res.headers['lambda-runtime-trace-id']) process.env._X_AMZN_TRACE_ID = res.headers['lambda-runtime-trace-id'];
  else delete process.env._X_AMZN_TRACE_ID;
  const target = `invocation/${current}/`;
  const out = await run(handler, res.headers, JSON.parse(res.body.toString()));
  if (out.failed) {
    await report(target + 'error', fault(out.error, out.type));
    if (out.fatal) process.exit(1);
    return;
  }
  let body;
  try {
    body = JSON.stringify(out.value === undefined ? null : out.value);
    if (body === undefined) throw new Error('value has no JSON form');
  } catch (e) {
    await report(target + 'error', fault(e, 'Runtime.MarshalError'));
    return;
  }
  await finishOutput();
  const answer = await call('POST', target + 'response', body, { 'Content-Type': 'application/json' });
  if (answer.status >= 300) writeAll(2, `greengate: response refused: ${answer.status} ${answer.body}\n`);
}

function onFatal(error, type) {
  if (settle) return settle(error, type);
  const fatal = fault(error, type);
  if (initialized) { // between invocations: nothing to report it for
    writeAll(2, `${JSON.stringify(fatal)}\n`);
    process.exit(1);
  }
  return report('init/error', fatal).then(() => process.exit(1));
}

async function main() {
  patchConsole();
  process.on('beforeExit', () => whenEmpty?.());
  process.on('uncaughtException', (e) => onFatal(e));
  process.on('unhandledRejection', (e) => {
    onFatal(Object.assign(new Error(String(e instanceof Error ? `${e.name}: ${e.message}` : e)), { stack: e?.stack }), 'Runtime.UnhandledPromiseRejection');
  });
  let handler;
  try {
    handler = await load(process.env._HANDLER);
  } catch (e) {
    await report('init/error', fault(e));
    process.exit(1);
  }
  initialized = true;
  await finishOutput();
  for (;;) {
    const res = await call('GET', 'invocation/next');
    if (res.status >= 300) {
      writeAll(2, `greengate: next refused: ${res.status} ${res.body}\n`);
      process.exit(1);
    }
    await invoke(handler, res);
  }
}

main();
