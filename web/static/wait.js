// How long a page waits that asked too often. Of our own answers it is what they say; whoever is in
// between may say nothing, or a date.
const waitMs = (answer) => {
  const seconds = Number(answer.headers.get("Retry-After"));
  return 1_000 * Math.min(seconds > 0 ? seconds : 5, 600);
};
