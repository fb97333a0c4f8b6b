// An aggregator for tests, by npm's `smpp`: node aggregator.cjs SETTINGS. Settings, and the commands that come on stdin a line each,
// are JSON; what it sees it tells on stdout, a line of JSON each. It ends with its stdin.
'use strict';
const fs = require('fs');
const readline = require('readline');
const smpp = require('smpp');

const settings = Object.assign(
  {
    systemId: 'gateway', password: 'secret08', port: 0, key: '', cert: '',
    // The status of each bind; of the next submissions, one after the other; and of all others.
    bindStatus: 0, statuses: [], status: 0,
    // Answers wait for `release`; receipts come `first`, `after` or not at all; the id that an answer gives.
    hold: false, receipts: '', ids: 'decimal', receiptIds: 'decimal', noIds: false,
    // After so many submissions the connection is cut, without an answer to the last one.
    cutEvery: 0, answersEnquiries: true, firstId: 1000,
  },
  JSON.parse(process.argv[2]),
);
const sessions = new Set();
let held = [];
let submissions = 0;
let lastId = settings.firstId;

const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const written = (id, form) => (form === 'hex' ? id.toString(16).toUpperCase() : String(id));

function receipt(session, id, destination, source) {
  const text = `id:${id} sub:001 dlvrd:001 submit date:2611280438 done date:2611280439 stat:DELIVRD err:000 text:`;
  deliver(session, {
    source_addr: destination, destination_addr: source, esm_class: 4, short_message: Buffer.from(text),
  });
}

function deliver(session, fields) {
  session.deliver_sm(fields, (answer) => tell({ acknowledged: answer.command_status, id: idIn(fields) }));
}

function idIn(fields) {
  const found = /id:(\S+)/.exec(String(fields.short_message || ''));
  return fields.receipted_message_id || (found ? found[1] : '');
}

function submitted(session, pdu) {
  const short = pdu.short_message || {};
  submissions += 1;
  const isCut = settings.cutEvery > 0 && submissions % settings.cutEvery === 0;
  const status = settings.statuses.length ? settings.statuses.shift() : settings.status;
  const id = status === 0 ? ++lastId : 0;
  tell({
    submitted: id, status, isCut,
    source: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr],
    destination: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr],
    coding: pdu.data_coding, esmClass: pdu.esm_class, registered: pdu.registered_delivery,
    header: (short.udh || []).map((each) => each.toString('hex')),
    text: pdu.message_payload ? pdu.message_payload.message : short.message,
    sar: pdu.sar_total_segments ? [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum] : [],
    binds: sessions.size,
  });
  if (isCut) {
    session.destroy();
    return;
  }
  const isTaken = status === 0;
  const given = written(id, settings.ids);
  const answer = () => {
    if (isTaken && settings.receipts === 'first') {
      receipt(session, written(id, settings.receiptIds), pdu.destination_addr, pdu.source_addr);
    }
    session.send(pdu.response(isTaken ? { message_id: settings.noIds ? '' : given } : { command_status: status }));
    if (isTaken && settings.receipts === 'after') {
      receipt(session, written(id, settings.receiptIds), pdu.destination_addr, pdu.source_addr);
    }
  };
  if (settings.hold) held.push(answer);
  else answer();
}

function serve(session) {
  session.on('error', () => session.destroy());
  session.on('close', () => {
    if (sessions.delete(session)) tell({ closed: true });
  });
  session.on('bind_transceiver', (pdu) => {
    const isKnown = pdu.system_id === settings.systemId && pdu.password === settings.password;
    const status = isKnown ? settings.bindStatus : 0x0e;
    if (status === 0) sessions.add(session);
    session.send(pdu.response(status ? { command_status: status } : { system_id: 'npm' }));
    tell({ bind: status, version: pdu.interface_version });
  });
  session.on('submit_sm', (pdu) => submitted(session, pdu));
  session.on('enquire_link', (pdu) => {
    tell({ enquired: true });
    if (settings.answersEnquiries) session.send(pdu.response());
  });
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    tell({ unbind: true });
    session.close();
  });
  session.on('unbind_resp', () => {
    tell({ unbound: true });
    session.close();
  });
  session.on('generic_nack', (pdu) => tell({ nack: pdu.command_status, sequence: pdu.sequence_number }));
}

const commands = {
  set: (changes) => Object.assign(settings, changes),
  release: () => { held.splice(0).forEach((answer) => answer()); },
  // The answers that are held, the newest first.
  releaseBackwards: () => { held.splice(0).reverse().forEach((answer) => answer()); },
  deliver: (fields) => {
    const [session] = sessions;
    deliver(session, {
      ...fields,
      short_message: Buffer.from(fields.text || ''),
      ...(fields.networkError ? { network_error_code: Buffer.from(fields.networkError, 'hex') } : {}),
    });
  },
  unbind: () => sessions.forEach((session) => session.unbind()),
  enquire: () => sessions.forEach((session) => session.enquire_link((answer) => tell({ alive: answer.command }))),
  cut: () => sessions.forEach((session) => session.destroy()),
  raw: (hex) => sessions.forEach((session) => session.socket.write(Buffer.from(hex, 'hex'))),
};

const options = settings.key ? { key: fs.readFileSync(settings.key), cert: fs.readFileSync(settings.cert) } : {};
const server = smpp.createServer(options, serve);
server.on('error', () => {});
server.on('tlsClientError', () => tell({ tlsFailed: true }));
server.listen(settings.port, '127.0.0.1', () => tell({ listening: server.address().port }));
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  for (const [name, argument] of Object.entries(JSON.parse(line))) commands[name](argument);
}).on('close', () => process.exit(0));
