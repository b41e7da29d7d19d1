"""SageMaker: endpoints, the container contract, alarms, a stack, and taking everything down."""
