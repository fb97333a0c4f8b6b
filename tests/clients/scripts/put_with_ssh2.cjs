// An agency's script with ssh2-sftp-client: host, port, campaign, key, known_hosts, path, name, flow [bytes].
const fs = require("node:fs");
const { once } = require("node:events");
const { Transform } = require("node:stream");
const { pipeline } = require("node:stream/promises");
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
      // Not `append`: its stream may write before it has asked where the file ends, and then writes at the beginning.
      const target = sftp.createWriteStream(name, { flags: "a" });
      await once(target, "ready");
      return pipeline(fs.createReadStream(path, { start: size }), target);
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
