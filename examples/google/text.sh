#!/bin/sh
# A job of Google's template, started from a shell. A parameter file of ours is made from it by
#
#     python -m templates import-google examples/google/text.sh
#
export SUBSCRIPTION=projects/demo/subscriptions/flights

gcloud dataflow flex-template run flights-to-text \
  --project "$PROJECT" \
  --region europe-west1 \
  --template-file-gcs-location gs://dataflow-templates-europe-west1/latest/flex/Cloud_PubSub_to_GCS_Text_Flex \
  --parameters "inputSubscription=$SUBSCRIPTION" \
  --parameters 'outputDirectory=headrace-run/text/YYYY/MM/DD/' \
  --parameters windowDuration=5s,numShards=1
