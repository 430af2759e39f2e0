// Loaded into Azurite: it ends when standard input does, so that it never outlives the stack.
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
process.stdin.on("error", () => process.exit(1));
process.stdin.resume();
process.stdin.unref(); // once its servers are closed, nothing else keeps it alive
