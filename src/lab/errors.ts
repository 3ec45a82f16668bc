/** An error that the user understands from its one line; any other error is a fault of ours and shows where it came from. */
export class LabError extends Error {}
