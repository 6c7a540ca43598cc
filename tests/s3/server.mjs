// The S3 server of the tests of files: with a bucket "files", in the directory that is named. Prints its port, and ends with
// whoever started it.
import S3rver from "@20minutes/s3rver";

const server = new S3rver({
  address: "127.0.0.1",
  port: Number(process.argv[3] ?? 0),
  directory: process.argv[2],
  silent: true,
  configureBuckets: [{ name: "files" }],
});
const { port } = await server.run();
console.log(port);
process.stdin.on("end", () => process.exit()).resume();
