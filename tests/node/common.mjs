// What the clients' files share: where the gateway is, what is asked of it, and how a case is told to pytest.

export const url = process.env.TOLLGATE_URL;
export const key = process.env.TOLLGATE_KEY;
export const wrongKey = `tg-${"x".repeat(43)}`;

export const weather = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city"],
  additionalProperties: false,
};
export const verdict = {
  type: "object",
  properties: { name: { type: "string" }, score: { type: "integer" } },
  required: ["name", "score"],
  additionalProperties: false,
};
// The simulator calls the tools whose names are in the text, with the last word as the city.
export const both = "call get_weather and get_time for Paris";
export const names = ["get_weather", "get_time"];
export const paris = { city: "Paris", days: 7 };

/** The simulator's answer, of which it counts every word as a token. */
export const answer = (asked) => `You said: ${asked} This is the simulator speaking, word by word.`;
export const tokens = (text) => text.split(" ").length;

/** Runs the cases that the command line names, and prints what came of each as a line of JSON. */
export async function run(cases) {
  for (const [target, name] of JSON.parse(process.argv[2])) {
    let error = null;
    try {
      await cases[name](target);
    } catch (thrown) {
      error = thrown.stack ?? String(thrown);
    }
    console.log(JSON.stringify({ target, case: name, error }));
  }
}
