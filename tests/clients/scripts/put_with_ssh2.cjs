// An agency's script with ssh2-sftp-client: host, port, campaign, key, known_hosts, path, name, flow [bytes].
const fs = require("node:fs");
const { Transform } = require("node:stream");
const Client = require("ssh2-sftp-client");

const [host, port, username, key, , path, name, flow, after] = process.argv.slice(2);

// Dies in the middle of the upload.
function failing(limit) {
  let sent = 0;
  return new Transform({
    transform(chunk, _encoding, done) {
      sent += chunk.length;
      done(sent > limit ? new Error("the script fails here") : null, chunk);
    },
  });
}

async function send(sftp) {
  switch (flow) {
    case "put":
      return sftp.put(path, name);
    case "fast":
      return sftp.fastPut(path, name);
    case "rename":
      await sftp.put(path, `${name}.tmp`);
      return sftp.rename(`${name}.tmp`, name);
    case "resume": {
      const { size } = await sftp.stat(name);
      return sftp.append(fs.createReadStream(path, { start: size }), name);
    }
    case "fail": {
      const broken = failing(Number(after));
      fs.createReadStream(path).pipe(broken);
      return sftp.put(broken, name);
    }
  }
}

async function main() {
  const sftp = new Client();
  try {
    await sftp.connect({ host, port: Number(port), username, privateKey: fs.readFileSync(key) });
    await send(sftp);
  } finally {
    await sftp.end();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
