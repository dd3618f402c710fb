/**
 * Whether a log message is a warning of TestClock, which watches the time of the machine: on a busy one, it takes a test that works
 * for a second for one that waits. Tests that compare whole logs leave it out.
 */
export const isOfTestClock = (message: unknown): boolean =>
  /^(A test is using time|A fiber woken by the test clock)/.test(String(message))
