// A function for --udf=examples/udf/flights.js:delayed, in the form of Google's templates: it gets
// the payload as text and returns one. What it returns null for is left out.
function delayed(text) {
  const flight = JSON.parse(text);
  if (flight.dep_delay === null) return null;
  flight.late = flight.dep_delay > 15;
  return JSON.stringify(flight);
}
