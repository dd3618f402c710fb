/**
 * Whether a log message is a warning of TestClock. It measures real time, so on a busy machine it also warns about tests that wait
 * for nothing. Tests that compare whole logs leave these warnings out.
 */
export const isOfTestClock = (message: unknown): boolean =>
  /^(A test is using time|A fiber woken by the test clock)/.test(String(message))
