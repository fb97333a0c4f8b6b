// An aggregator that keeps its record over everything, by npm's `smpp`: node smsc.cjs. It tells its ports on stdout and is told by
// HTTP what to do: a POST of JSON to /behaviour, /faults, /cut, /stop, /listen, /record, /messages. It ends with its stdin.
'use strict';
const http = require('http');
const smpp = require('smpp');

const behaviour = {
  // Seconds until an answer, and from there to the receipt; how often each receipt comes; of which share it comes first.
  answerAfter: 0, receiptAfter: 0, receiptCopies: 1, receiptsFirst: 0,
  // Receipts that may wait for their acknowledgement at once.
  receiptWindow: 1000,
  // Of recipients whose number divides by this, the message fails; 0: of none.
  failing: 0,
  // Without it only counts are kept.
  keep: true,
};
let faults = [];
let lastId = 10_000_000;
let created = 0, refused = 0, acknowledged = 0, comeAgain = 0;
const messages = [];
const bySecond = new Map();
const sessions = new Set();
let waiting = [];
let nextReceipt = 0;
const unacknowledged = new Map();

function create(pdu) {
  created += 1;
  const id = ++lastId;
  const failed = behaviour.failing > 0 && Number(pdu.destination_addr) % behaviour.failing === 0;
  const second = Math.floor(Date.now() / 1000);
  bySecond.set(second, (bySecond.get(second) || 0) + 1);
  if (behaviour.keep) {
    messages.push({ id: String(id), recipient: pdu.destination_addr, text: pdu.short_message.message, failed });
  }
  return { id, failed, pdu };
}

function queueReceipt({ id, failed, pdu }, after) {
  const [state, error] = failed ? ['UNDELIV', '001'] : ['DELIVRD', '000'];
  const fields = {
    source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
    short_message: Buffer.from(`id:${id} sub:001 dlvrd:001 stat:${state} err:${error} text:`),
  };
  const queue = () => {
    for (let copy = 0; copy < behaviour.receiptCopies; copy += 1) waiting.push(fields);
    sendReceipts();
  };
  if (after > 0) setTimeout(queue, after * 1000);
  else queue();
}

function sendReceipts() {
  const bound = [...sessions];
  while (bound.length && waiting.length > nextReceipt && unacknowledged.size < behaviour.receiptWindow) {
    const fields = waiting[nextReceipt++];
    const session = bound[nextReceipt % bound.length];
    const token = {};
    unacknowledged.set(token, { session, fields });
    session.deliver_sm(fields, (answer) => {
      if (!unacknowledged.delete(token)) return;
      if (answer.command_status === 0) acknowledged += 1;
      else {
        comeAgain += 1;
        setTimeout(() => { waiting.push(fields); sendReceipts(); }, 500);
      }
      sendReceipts();
    });
  }
  if (nextReceipt > 10_000) {
    waiting = waiting.slice(nextReceipt);
    nextReceipt = 0;
  }
}

function submitted(session, pdu) {
  const fault = faults.shift();
  if (fault && fault.status) {
    refused += 1;
    session.send(pdu.response({ command_status: fault.status }));
    return;
  }
  const message = !fault || fault.creates ? create(pdu) : null;
  if (fault) {
    if (message) queueReceipt(message, behaviour.receiptAfter);
    if (fault.then === 'cut') session.destroy();
    return;
  }
  const isFirst = behaviour.receiptsFirst > 0 && Math.random() < behaviour.receiptsFirst;
  if (isFirst) queueReceipt(message, 0);
  const answer = () => {
    session.send(pdu.response({ message_id: String(message.id) }));
    if (!isFirst) queueReceipt(message, behaviour.receiptAfter);
  };
  if (behaviour.answerAfter > 0) setTimeout(answer, behaviour.answerAfter * 1000);
  else answer();
}

function leave(session) {
  if (!sessions.delete(session)) return;
  for (const [token, { session: of, fields }] of unacknowledged) {
    if (of === session) {
      unacknowledged.delete(token);
      waiting.push(fields);
    }
  }
  sendReceipts();
}

function serve(session) {
  session.on('error', () => session.destroy());
  session.on('close', () => leave(session));
  session.on('bind_transceiver', (pdu) => {
    session.send(pdu.response({ system_id: 'npm' }));
    sessions.add(session);
    sendReceipts();
  });
  session.on('submit_sm', (pdu) => submitted(session, pdu));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    leave(session);
    session.close();
  });
}

const server = smpp.createServer({}, serve);
server.on('error', () => {});
let port = 0;
const cut = () => [...sessions].forEach((session) => session.destroy());
const calls = {
  behaviour: (changes) => { Object.assign(behaviour, changes); return {}; },
  faults: (list) => { faults = list; return {}; },
  cut: () => { cut(); return {}; },
  stop: () => { server.close(); cut(); return {}; },
  listen: () => new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve({}))),
  record: () => ({
    created, refused, acknowledged, come_again: comeAgain, faults_left: faults.length, binds: sessions.size,
    receipts_waiting: waiting.length - nextReceipt + unacknowledged.size, by_second: [...bySecond],
  }),
  messages: () => messages,
};
const control = http.createServer((request, response) => {
  const body = [];
  request.on('data', (piece) => body.push(piece));
  request.on('end', async () => {
    const answer = await calls[request.url.slice(1)](JSON.parse(Buffer.concat(body).toString() || '{}'));
    response.end(JSON.stringify(answer));
  });
});
server.listen(0, '127.0.0.1', () => {
  port = server.address().port;
  control.listen(0, '127.0.0.1', () => {
    process.stdout.write(JSON.stringify({ port, control_port: control.address().port }) + '\n');
  });
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
